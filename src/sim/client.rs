//! A client: follows its script, reads what comes, and tells what it heard.

use super::Law;
use super::census::Fault;
use super::desk::{Desk, Happening, Parcel, shown};
use super::lane::Lane;
use super::layer::{CLIENT_HELLO, Layer, SERVER_HELLO};
use super::model::{Heard, Model};
use super::reading::HeardReply;
use super::script::{Script, Step};
use super::town::Credentials;
use crate::auth::scram::client::{Bound, ScramClient};
use crate::contract::Listener;
use base64ct::{Base64, Encoding};
use std::collections::VecDeque;
use std::net::IpAddr;

/// Octets that a client that does not read lets pile up in its kernel.
pub(super) const WINDOW_OCTETS: usize = 1_024;

/// Where a client stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Both directions.
    Talking,
    /// It closed its side, and reads.
    Listening,
    /// It is over.
    Gone,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) number: usize,
    pub(super) name: &'static str,
    pub(super) listener: Listener,
    pub(super) from: Option<IpAddr>,
    pub(super) model: Model,
    scram: Option<(ScramClient, String)>,
    steps: VecDeque<Step>,
    lane: Lane,
    layer: Layer,
    standing: Standing,
    deaf: bool,
    unread: Vec<u8>,
    line: Vec<u8>,
    paused: bool,
    sent_octets: usize,
    read_octets: usize,
    /// Resets the connection, or closes its side, when so many octets went out.
    resets_at: Option<usize>,
    closes_at: Option<usize>,
    /// Nobody has looked yet at what was not answered.
    settled: bool,
}

impl Client {
    pub(super) fn new(number: usize, script: Script, troubled: bool, desk: &mut Desk) -> Self {
        let Script { name, listener, from, steps, .. } = script;
        let mut client = Self {
            number,
            name,
            listener,
            from,
            model: Model::new(listener),
            scram: None,
            steps,
            lane: Lane::new(desk),
            layer: Layer::Plain,
            standing: Standing::Talking,
            deaf: false,
            unread: Vec::new(),
            line: Vec::new(),
            paused: false,
            sent_octets: 0,
            read_octets: 0,
            resets_at: None,
            closes_at: None,
            settled: false,
        };
        if troubled && desk.one_in(8) {
            client.resets_at = Some(desk.below(1_500));
        } else if troubled && desk.one_in(12) {
            client.closes_at = Some(desk.below(1_500));
        }
        client
    }

    /// The happening that wakes it up.
    pub(super) fn wake(&mut self, desk: &mut Desk) {
        self.paused = false;
        self.go_on(desk);
    }

    /// Goes on with the script as far as it can.
    pub(super) fn go_on(&mut self, desk: &mut Desk) {
        while !self.paused && self.standing != Standing::Gone {
            let must_wait = match self.steps.front() {
                None => return,
                Some(Step::Await) => !self.model.is_answered(),
                Some(Step::Tls) => !self.shakes_hands(desk),
                Some(
                    Step::Send(_)
                    | Step::Body(_)
                    | Step::ScramFirst(..)
                    | Step::ScramProof
                    | Step::ScramEnd
                    | Step::Pause(_)
                    | Step::HalfClose
                    | Step::Reset
                    | Step::Deaf
                    | Step::Listen,
                ) => false,
            };
            if must_wait {
                return;
            }
            let Some(step) = self.steps.pop_front() else { return };
            self.take_step(step, desk);
        }
    }

    fn take_step(&mut self, step: Step, desk: &mut Desk) {
        match step {
            Step::Send(octets) => self.send(&octets, desk),
            Step::Body(octets) => {
                if self.model.last_code() == 354 {
                    self.send(&octets, desk);
                }
            }
            Step::Await | Step::Tls => {}
            Step::ScramFirst(who, plus) => self.scram_first(&who, plus, desk),
            Step::ScramProof => self.scram_proof(desk),
            Step::ScramEnd => self.scram_end(desk),
            Step::Pause(ms) => {
                self.paused = true;
                desk.later(ms, Happening::Wake(self.number));
            }
            Step::HalfClose => self.half_close(desk),
            Step::Reset => self.reset(desk),
            Step::Deaf => self.deaf = true,
            Step::Listen => self.deaf = false,
        }
    }

    fn scram_first(&mut self, who: &Credentials, plus: bool, desk: &mut Desk) {
        let nonce = format!("{:016x}", desk.below_u64(u64::MAX));
        let (name, bound) = match plus {
            true => ("SCRAM-SHA-256-PLUS", Bound::To("tls-exporter", &[b'E'; 32])),
            false => ("SCRAM-SHA-256", Bound::No),
        };
        let scram = ScramClient::new(bound, None, &who.login, &nonce);
        self.model.proves(&who.login, &who.password);
        desk.proofs.insert(self.number, who.clone());
        let line = format!("AUTH {name} {}\r\n", Base64::encode_string(scram.first().as_bytes()));
        self.scram = Some((scram, who.password.clone()));
        self.send(line.as_bytes(), desk);
    }

    fn scram_proof(&mut self, desk: &mut Desk) {
        let challenge = self.challenge().filter(|_| self.model.last_code() == 334);
        let Some((scram, password)) = &mut self.scram else { return };
        let last = challenge.and_then(|challenge| scram.last(&challenge, password.as_bytes()));
        match last {
            Some(last) => {
                self.send(format!("{}\r\n", Base64::encode_string(last.as_bytes())).as_bytes(), desk)
            }
            None => self.scram = None,
        }
    }

    fn scram_end(&mut self, desk: &mut Desk) {
        // The salt again: the proof never got out.
        let is_news = |challenge: &String| self.model.last_code() == 334 && !challenge.starts_with("r=");
        let challenge = self.challenge().filter(is_news);
        let (Some((scram, _)), Some(challenge)) = (self.scram.take(), challenge) else { return };
        let trusted = scram.trusts(&challenge);
        desk.check(Law::RightPassword, trusted, || format!("C{} got {challenge} for a proof", self.number));
        self.send(b"\r\n", desk);
    }

    fn challenge(&self) -> Option<String> {
        let octets = Base64::decode_vec(std::str::from_utf8(self.model.challenge()).ok()?).ok()?;
        String::from_utf8(octets).ok()
    }

    /// Whether the handshake is over, one way or the other; begins it when its time has come.
    fn shakes_hands(&mut self, desk: &mut Desk) -> bool {
        let implicit = self.listener == Listener::Submissions;
        match &self.layer {
            Layer::Records(_) | Layer::Broken => true,
            Layer::Hello(..) => false,
            Layer::Plain if implicit || self.model.awaits_handshake() => {
                self.transmit(CLIENT_HELLO, desk);
                self.layer = Layer::awaiting(SERVER_HELLO);
                false
            }
            // Refused, or not answered yet.
            Layer::Plain => self.model.is_answered(),
        }
    }

    fn send(&mut self, octets: &[u8], desk: &mut Desk) {
        if self.standing != Standing::Talking || octets.is_empty() || matches!(self.layer, Layer::Hello(..)) {
            return;
        }
        let stop = [self.resets_at, self.closes_at].into_iter().flatten().min();
        let room = stop.map_or(usize::MAX, |stop| stop.saturating_sub(self.sent_octets));
        let sent = octets.get(..room).unwrap_or(octets);
        self.sent_octets += sent.len();
        self.model.sent(sent);
        desk.tell(&format!("{} C{}: {}", self.name, self.number, shown(sent)));
        self.transmit(&self.layer.seal(sent), desk);
        if sent.len() == octets.len() {
            return;
        }
        if self.resets_at.is_some() {
            self.reset(desk);
        } else {
            self.half_close(desk);
        }
    }

    fn transmit(&mut self, raw: &[u8], desk: &mut Desk) {
        let number = self.number;
        self.lane.send(raw, desk, |parcel| Happening::ToServer(number, parcel));
    }

    fn half_close(&mut self, desk: &mut Desk) {
        if self.standing == Standing::Talking {
            self.standing = Standing::Listening;
            desk.fault(Fault::HalfClosed);
            desk.tell(&format!("{} C{} closes its side", self.name, self.number));
            let number = self.number;
            self.lane.end(Parcel::Fin, desk, |parcel| Happening::ToServer(number, parcel));
        }
    }

    fn reset(&mut self, desk: &mut Desk) {
        if self.standing != Standing::Gone {
            self.standing = Standing::Gone;
            desk.fault(Fault::Reset);
            desk.tell(&format!("{} C{} resets", self.name, self.number));
            let number = self.number;
            self.lane.end(Parcel::Rst, desk, |parcel| Happening::ToServer(number, parcel));
        }
    }

    /// What the network brought. Returns what was heard.
    pub(super) fn receive(&mut self, parcel: Parcel, desk: &mut Desk) -> Vec<Heard> {
        if self.standing == Standing::Gone {
            return Vec::new();
        }
        match parcel {
            Parcel::Octets(octets) => {
                self.unread.extend(octets);
                self.read(desk)
            }
            Parcel::Fin => {
                self.deaf = false;
                let heard = self.read(desk);
                let is_silent = match self.layer {
                    Layer::Plain => self.listener == Listener::Submissions,
                    Layer::Hello(..) | Layer::Broken => true,
                    Layer::Records(_) => false,
                };
                if let Err((law, what)) = self.model.closed()
                    && !is_silent
                {
                    desk.break_law(law, format!("{} C{}: {what}", self.name, self.number));
                }
                self.standing = Standing::Gone;
                heard
            }
            Parcel::Rst => {
                self.standing = Standing::Gone;
                Vec::new()
            }
        }
    }

    /// Reads what lies in its kernel, unless it does not read.
    pub(super) fn read(&mut self, desk: &mut Desk) -> Vec<Heard> {
        let mut heard = Vec::new();
        while !self.deaf && !self.unread.is_empty() {
            let raw = std::mem::take(&mut self.unread);
            self.read_octets += raw.len();
            let opened = self.layer.open(&raw);
            if opened.broke {
                desk.break_law(Law::CleanStartTls, format!("C{} got {} under TLS", self.number, shown(&raw)));
            }
            if opened.came_up {
                if let Err((law, what)) = self.model.tls_up() {
                    desk.break_law(law, format!("{} C{}: {what}", self.name, self.number));
                }
                desk.tell(&format!("{} C{} has TLS", self.name, self.number));
            }
            self.line.extend(opened.content);
            while let Some(reply) = self.next_reply(desk) {
                desk.tell(&format!("{} S{}: {}", self.name, self.number, shown(&reply.raw)));
                match self.model.reply(&reply) {
                    Ok(one) => {
                        desk.census.law(Law::OneReply);
                        heard.extend(one);
                    }
                    Err((law, what)) => {
                        desk.break_law(law, format!("{} C{}: {what}", self.name, self.number))
                    }
                }
            }
        }
        heard
    }

    /// Octets it has read, all in all.
    pub(super) fn read_octets(&self) -> usize {
        self.read_octets
    }

    pub(super) fn is_gone(&self) -> bool {
        self.standing == Standing::Gone
    }

    /// Nothing will happen here by itself any more: how the world may know that a client has stopped.
    pub(super) fn give_up(&mut self) {
        self.steps.clear();
    }

    /// The messages of which nobody can say what became of them; asked once.
    pub(super) fn unsettled(&mut self) -> Vec<(Vec<String>, Vec<u8>)> {
        if std::mem::replace(&mut self.settled, true) { Vec::new() } else { self.model.clone().unanswered() }
    }

    /// Cuts the next complete reply off what was read.
    fn next_reply(&mut self, desk: &mut Desk) -> Option<HeardReply> {
        let mut end = 0;
        loop {
            let rest = self.line.get(end..)?;
            let length = memchr::memmem::find(rest, b"\r\n")? + 2;
            let line = rest.get(..length)?;
            end += length;
            let is_last = match line.get(3) {
                Some(b' ') => true,
                Some(b'-') => false,
                _ => {
                    desk.break_law(Law::OneReply, format!("no reply: {}", shown(line)));
                    self.line.clear();
                    return None;
                }
            };
            if is_last {
                break;
            }
        }
        let raw = self.line.get(..end)?.to_vec();
        self.line = self.line.get(end..).unwrap_or_default().to_vec();
        let text = String::from_utf8_lossy(&raw).into_owned();
        let code = text.get(..3).and_then(|code| code.parse().ok()).unwrap_or(0);
        let word = text.get(4..).unwrap_or_default().split([' ', '\r']).next().unwrap_or_default();
        let is_enhanced =
            word.split('.').count() == 3 && word.bytes().all(|octet| octet.is_ascii_digit() || octet == b'.');
        Some(HeardReply { code, enhanced: if is_enhanced { word.into() } else { String::new() }, raw })
    }
}
