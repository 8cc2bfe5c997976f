//! The administrator's socket: requests of the command line to a running server (see `control`).
//!
//! Only the server's own user and root are heard. Changes of the directory are made one after the other:
//! planned against the directory as it is, made durable, applied, answered.
#![expect(clippy::disallowed_methods, reason = "the socket is a file")]

use super::control_client::{Busy, Client, Show};
use super::control_status::status;
use super::logins::forget_logins;
use super::store_link::StoreLink;
use super::store_thread::{AskKey, ToStore};
use crate::auth::credential;
use crate::auth::report::Ledger;
use crate::auth::scram::salts::{Salts, salts_of};
use crate::auth::throttle::{Subject, Throttle};
use crate::auth::verifier::canonical;
use crate::control::{AuthSubject, MessageRow, Refusal, Request, Response, SOCKET_NAME};
use crate::directory::described::{Described, describe};
use crate::directory::plan::{self, Plan, PlanError};
use crate::directory::{Account, Change, Directory, Target};
use crate::limits::{CONTROL_CONNECTIONS_MAX, CONTROL_IDLE_MS, LIST_ROWS_PER_PAGE, PATH_OCTETS_MAX};
use crate::store::count::Lost;
use crate::store::verify::Page;
use crate::store::{MessageRecord, StoreError};
use crate::telemetry::Recorder;
use crate::telemetry::line::Line;
use crate::telemetry::turns::Turns;
use crate::types::{AccountId, Address, Moment, Now, ScramUse};
use mio::net::{UnixListener, UnixStream};
use mio::{Interest, Registry, Token};
use rustix::net::sockopt::socket_peercred;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What an administrator's request may use.
#[derive(Debug)]
pub struct Office<'a> {
    /// The time of this turn.
    pub now: Moment,
    /// Who is who.
    pub directory: &'a mut Directory,
    /// Who logged in.
    pub ledger: &'a mut Ledger,
    /// Where it is kept.
    pub store: &'a mut StoreLink,
    /// Who is throttled.
    pub throttle: &'a mut Throttle,
    /// Both clocks, for the throttle.
    pub clocks: Now,
    /// How the server does.
    pub gauges: Gauges<'a>,
}

/// What the loop knows of itself.
#[derive(Debug, Clone, Copy)]
pub struct Gauges<'a> {
    /// What was counted.
    pub recorder: &'a Recorder,
    /// How long its turns took.
    pub turns: &'a Turns,
    /// Connections open.
    pub connections: usize,
    /// Connections that may be.
    pub connections_max: usize,
    /// Whether the store was given up.
    pub store_is_down: bool,
    /// Octets of the disk that stay free.
    pub reserve_octets: u64,
    /// What became of recordings of hostile sessions.
    pub journal: &'a [(&'static str, u64)],
    /// Acknowledged mail that was missing when the store was opened.
    pub lost: &'a [Lost],
}

/// A change the store is making durable.
#[derive(Debug)]
struct Changing {
    client: u64,
    changes: Vec<Change>,
    warnings: Vec<String>,
}

/// The socket and its clients.
pub struct ControlServer {
    listener: UnixListener,
    path: PathBuf,
    first_token: usize,
    /// Seals new application passwords.
    server_key: [u8; 32],
    scram: ScramUse,
    /// By a number that is never used again.
    clients: BTreeMap<u64, Client>,
    last_client: u64,
    asks: BTreeMap<AskKey, u64>,
    last_ask: u64,
    waiting: VecDeque<(u64, plan::Request)>,
    changing: Option<Changing>,
    /// Somebody waits in the kernel until a place is free.
    is_full: bool,
}

impl std::fmt::Debug for ControlServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ControlServer").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Longest path of a Unix socket (unix(7), `sun_path` less its NUL).
const SOCKET_PATH_OCTETS_MAX: usize = 107;

impl ControlServer {
    /// Makes the socket in the data directory; one left by a process that is gone is replaced. Tokens from
    /// `first_token + 1` upward are given to clients, `first_token` to the socket itself.
    ///
    /// # Errors
    /// When it cannot be made, with a sentence.
    pub fn bind(
        data_dir: &Path,
        registry: &Registry,
        first_token: usize,
        server_key: [u8; 32],
        scram: ScramUse,
    ) -> io::Result<Self> {
        let path = data_dir.join(SOCKET_NAME);
        let said = |what: &str, error: &io::Error| {
            io::Error::new(
                error.kind(),
                format!("the administrator's socket {} cannot be {what}: {error}", path.display()),
            )
        };
        if path.as_os_str().len() > SOCKET_PATH_OCTETS_MAX {
            return Err(io::Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "the administrator's socket {} has a path of {} octets and {SOCKET_PATH_OCTETS_MAX} is the most \
                     that the system takes; choose a data directory with a shorter path",
                    path.display(),
                    path.as_os_str().len()
                ),
            ));
        }
        match std::fs::symlink_metadata(&path) {
            Ok(found) if found.file_type().is_socket() => {
                std::fs::remove_file(&path).map_err(|error| said("replaced", &error))?;
            }
            // Anything else of that name is not ours to remove; the bind below says so.
            Ok(_) | Err(_) => {}
        }
        let mut listener = UnixListener::bind(&path).map_err(|error| said("made", &error))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))
            .map_err(|error| said("closed to others", &error))?;
        registry.register(&mut listener, Token(first_token), Interest::READABLE)?;
        Ok(Self {
            listener,
            path,
            first_token,
            server_key,
            scram,
            clients: BTreeMap::new(),
            last_client: 0,
            asks: BTreeMap::new(),
            last_ask: 0,
            waiting: VecDeque::new(),
            changing: None,
            is_full: false,
        })
    }

    /// Takes those whom the poll told of when every place was taken.
    pub fn accept_late(&mut self, registry: &Registry, office: &mut Office<'_>) {
        if self.is_full && self.clients.len() < CONTROL_CONNECTIONS_MAX {
            self.accept(registry, office);
        }
    }

    /// The poll says that somebody waits. Beyond the ceiling they go on waiting, in the kernel.
    pub fn accept(&mut self, registry: &Registry, office: &mut Office<'_>) {
        loop {
            self.is_full = self.clients.len() >= CONTROL_CONNECTIONS_MAX;
            if self.is_full {
                return;
            }
            match self.listener.accept() {
                Ok((stream, _)) => self.admit(stream, registry, office),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    if error.kind() != ErrorKind::WouldBlock {
                        let line = Line::new("control-accept-failed").text("reason", &error.to_string());
                        log::warn!("{}", line.finish());
                    }
                    return;
                }
            }
        }
    }

    fn admit(&mut self, stream: UnixStream, registry: &Registry, office: &mut Office<'_>) {
        let own = rustix::process::geteuid();
        let allowed = socket_peercred(&stream).is_ok_and(|peer| peer.uid == own || peer.uid.is_root());
        if !allowed {
            let line = Line::new("control-refused").text("reason", "neither the server's user nor root");
            log::warn!("{}", line.finish());
            return;
        }
        self.last_client = self.last_client.saturating_add(1);
        let id = self.last_client;
        let mut client = Client {
            stream,
            input: Vec::new(),
            output: Vec::new(),
            sent: 0,
            readable: true,
            writable: true,
            ended: false,
            last: false,
            busy: Busy::No,
            active: office.now,
        };
        // Numbers grow, tokens come round: a stale event for another client only makes it look.
        let token = Token(self.token_of(id));
        if registry.register(&mut client.stream, token, Interest::READABLE | Interest::WRITABLE).is_ok() {
            self.clients.insert(id, client);
            self.serve(id, office);
        }
    }

    /// Tokens lie in the range of [`ControlServer::tokens`].
    fn token_of(&self, id: u64) -> usize {
        let slot = usize::try_from(id).unwrap_or(0).checked_rem(TOKENS).unwrap_or(0);
        self.first_token.saturating_add(1).saturating_add(slot)
    }

    /// Whether this token is one of its clients'.
    #[must_use]
    pub fn has_token(&self, token: usize) -> bool {
        token > self.first_token && token <= self.first_token.saturating_add(TOKENS)
    }

    /// The poll says something about a client.
    pub fn signalled(&mut self, event: &mio::event::Event, office: &mut Office<'_>) {
        let same: Vec<u64> =
            self.clients.keys().copied().filter(|id| self.token_of(*id) == event.token().0).collect();
        for id in same {
            if let Some(client) = self.clients.get_mut(&id) {
                client.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
                client.writable |= event.is_writable() || event.is_error();
                client.active = office.now;
            }
            self.serve(id, office);
        }
    }

    /// Drops clients that have been silent for too long.
    pub fn drop_silent(&mut self, now: Moment) {
        self.clients
            .retain(|_, client| !client.waits_for_peer() || now.since_ms(client.active) < CONTROL_IDLE_MS);
    }

    /// Does for a client what can be done now.
    fn serve(&mut self, id: u64, office: &mut Office<'_>) {
        let Some(mut client) = self.clients.remove(&id) else { return };
        loop {
            if client.flush().is_err() {
                return;
            }
            if !client.output.is_empty() {
                break;
            }
            if client.last {
                return;
            }
            match &mut client.busy {
                Busy::Show(show) if show.asked => break,
                Busy::Show(show) if show.next < show.slices => {
                    show.asked = true;
                    let (body, next) = (show.body, show.next);
                    self.ask(id, office, |ask| ToStore::Slice(ask, body, next));
                    break;
                }
                Busy::Show(show) => {
                    client.last = show.octets_left > 0;
                    client.busy = Busy::No;
                }
                Busy::Change | Busy::List(_) | Busy::Find => break,
                Busy::No => match client.next_line() {
                    Ok(Some(line)) => self.request(id, &mut client, &line, office),
                    // Its last answer is sent before it is dropped.
                    Ok(None) if client.last => {}
                    Ok(None) if client.ended => return,
                    Ok(None) => break,
                    Err(_) => return,
                },
            }
        }
        self.clients.insert(id, client);
    }

    fn ask(&mut self, id: u64, office: &mut Office<'_>, request: impl FnOnce(AskKey) -> ToStore) {
        self.last_ask = self.last_ask.saturating_add(1);
        let key = AskKey(self.last_ask);
        self.asks.insert(key, id);
        office.store.send(office.now, request(key));
    }

    // ---- Requests ----

    fn request(&mut self, id: u64, client: &mut Client, line: &[u8], office: &mut Office<'_>) {
        let request = match serde_json::from_slice::<Request>(line) {
            Ok(request) => request,
            Err(error) => {
                return client.refuse(
                    Refusal::Data,
                    format!(
                        "the server does not understand the command ({error}); are both of the same version?"
                    ),
                );
            }
        };
        match request {
            Request::Change(change) => {
                client.busy = Busy::Change;
                self.waiting.push_back((id, credential::sealed(&self.server_key, change)));
                // The client is not in the table while it is served; answers must find it there.
                if self.changing.is_none() {
                    self.next_change(Some((id, client)), office);
                }
            }
            Request::Directory => client.say(&Response::Directory(as_changes(office.directory))),
            Request::ScramSalts(address) => match plan::account_of(office.directory, &address) {
                Ok(account) => {
                    let salts = salts_of(account, &Salts::new(&self.server_key));
                    client.say(&Response::ScramSalts(self.scram, salts));
                }
                Err(why) => client.refuse(Refusal::Data, why.0),
            },
            Request::AuthReport(from) => {
                client.say(&Response::ReportDay(office.ledger.day_from(from).cloned().map(Box::new)));
            }
            Request::MailList(address, after) => match account_of(office.directory, &address) {
                Ok(account) => {
                    client.busy = Busy::List(LIST_ROWS_PER_PAGE);
                    // One more than shown says whether there are more.
                    let rows = LIST_ROWS_PER_PAGE.saturating_add(1);
                    self.ask(id, office, |ask| ToStore::List(ask, account, after, rows));
                }
                Err(why) => client.refuse(Refusal::Data, why),
            },
            Request::MailShow(address, uid) => match account_of(office.directory, &address) {
                Ok(account) => {
                    client.busy = Busy::Find;
                    self.ask(id, office, |ask| ToStore::Message(ask, account, uid));
                }
                Err(why) => client.refuse(Refusal::Data, why),
            },
            Request::AuthExplain(subject) => {
                let subject = match subject {
                    AuthSubject::Source(source) => Subject::Source(source),
                    AuthSubject::Login(login) => Subject::Login(canonical(login.as_bytes())),
                };
                let explanation = office.throttle.explain(office.clocks, &subject);
                client.say(&Response::Explained(Box::new(explanation)));
            }
            Request::Verify(from) => {
                client.busy = Busy::Find;
                self.ask(id, office, |ask| ToStore::Verify(ask, from));
            }
            Request::Status => client.say(&Response::Status(Box::new(status(office)))),
            Request::AuthForgive(subject) => {
                let anything = match subject {
                    AuthSubject::Source(source) => {
                        let known = office.throttle.explain(office.clocks, &Subject::Source(source));
                        office.throttle.forgive(source);
                        !known.standings.is_empty() || known.mail_score > 0
                    }
                    AuthSubject::Login(login) => {
                        let login = canonical(login.as_bytes());
                        let known = office.throttle.explain(office.clocks, &Subject::Login(login.clone()));
                        office.throttle.forgive_login(&login);
                        !known.standings.is_empty()
                    }
                };
                client.say(&Response::Changed { anything, warnings: Vec::new() });
            }
        }
    }

    /// Plans changes that wait until one is on its way to the store.
    fn next_change(&mut self, mut serving: Option<(u64, &mut Client)>, office: &mut Office<'_>) {
        while let Some((id, request)) = self.waiting.pop_front() {
            let answer = match plan::plan(office.directory, &request) {
                Err(PlanError(why)) => Response::Refused(Refusal::Data, why),
                Ok(Plan { changes, warnings }) if changes.is_empty() => {
                    Response::Changed { anything: false, warnings }
                }
                Ok(Plan { changes, warnings }) => {
                    office.store.send(office.now, ToStore::Change(changes.clone()));
                    self.changing = Some(Changing { client: id, changes, warnings });
                    return;
                }
            };
            match &mut serving {
                Some((served, client)) if *served == id => client.answer(&answer),
                Some(_) | None => self.answer(id, &answer, office),
            }
        }
    }

    /// Brings an answer to a client, if it is still there.
    fn answer(&mut self, id: u64, response: &Response, office: &mut Office<'_>) {
        if let Some(client) = self.clients.get_mut(&id) {
            client.answer(response);
            self.serve(id, office);
        }
    }

    // ---- Answers of the store ----

    /// A change is durable, or is not. Says what was applied, for the log.
    pub fn changed(&mut self, result: Result<(), StoreError>, office: &mut Office<'_>) {
        let Some(Changing { client, changes, warnings }) = self.changing.take() else { return };
        let response = match result {
            Ok(()) => {
                for change in &changes {
                    tell(office.directory, change);
                    forget_logins(office.throttle, office.directory, change);
                    office.directory.apply(change);
                }
                Response::Changed { anything: true, warnings }
            }
            Err(error) => refused(&error),
        };
        self.next_change(None, office);
        self.answer(client, &response, office);
    }

    /// A list.
    pub fn listed(
        &mut self,
        ask: AskKey,
        result: Result<Vec<MessageRecord>, StoreError>,
        office: &mut Office<'_>,
    ) {
        let Some(id) = self.asks.remove(&ask) else { return };
        let rows = match self.clients.get(&id).map(|client| &client.busy) {
            Some(Busy::List(rows)) => *rows,
            Some(Busy::No | Busy::Change | Busy::Find | Busy::Show(_)) | None => return,
        };
        let response = match result {
            Ok(records) => Response::Messages {
                more: records.len() > rows,
                rows: records.into_iter().take(rows).map(row).collect(),
            },
            Err(error) => refused(&error),
        };
        self.answer(id, &response, office);
    }

    /// A message, or that there is none.
    pub fn found(
        &mut self,
        ask: AskKey,
        result: Result<Option<Box<MessageRecord>>, StoreError>,
        office: &mut Office<'_>,
    ) {
        let Some(id) = self.asks.remove(&ask) else { return };
        let Some(client) = self.clients.get_mut(&id) else { return };
        match result {
            Ok(Some(record)) => {
                client.answer(&Response::Message(record.octets()));
                client.output.extend_from_slice(&record.prefix);
                client.busy = Busy::Show(Show {
                    body: record.body,
                    next: 0,
                    slices: record.slices,
                    octets_left: record.body_octets,
                    asked: false,
                });
            }
            Ok(None) => client.answer(&Response::Refused(
                Refusal::Data,
                "there is no message of this number; `gatepost mail list` shows those there are".into(),
            )),
            Err(error) => client.answer(&refused(&error)),
        }
        self.serve(id, office);
    }

    /// A step of looking at everything.
    pub fn verified(&mut self, ask: AskKey, page: Page, office: &mut Office<'_>) {
        if let Some(id) = self.asks.remove(&ask) {
            self.answer(id, &Response::Verified(Box::new(page)), office);
        }
    }

    /// A slice. One that cannot be read ends the connection: its client counts octets and sees it.
    pub fn slice(&mut self, ask: AskKey, result: Result<Vec<u8>, StoreError>, office: &mut Office<'_>) {
        let Some(id) = self.asks.remove(&ask) else { return };
        let Some(client) = self.clients.get_mut(&id) else { return };
        let Busy::Show(show) = &mut client.busy else { return };
        match result {
            Ok(octets) => {
                show.asked = false;
                show.next = show.next.saturating_add(1);
                let count = u64::try_from(octets.len()).unwrap_or(u64::MAX);
                show.octets_left = show.octets_left.saturating_sub(count);
                client.output = octets;
                client.sent = 0;
                client.active = office.now;
                self.serve(id, office);
            }
            Err(error) => {
                let line = Line::new("message-unreadable").field("mail", show.body);
                log::error!("{}", line.text("reason", &error.to_string()).finish());
                self.clients.remove(&id);
            }
        }
    }
}

impl Drop for ControlServer {
    fn drop(&mut self) {
        // One that stays is replaced at the next start.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Tokens that clients share; more than there can be clients at once.
const TOKENS: usize = CONTROL_CONNECTIONS_MAX * 4;

/// One line about a step that is about to be applied.
fn tell(directory: &Directory, change: &Change) {
    let Some(Described { what, name, parts }) = describe(directory, change) else { return };
    let line = Line::new("directory-changed").field("what", what).peer_text("name", &name, PATH_OCTETS_MAX);
    let line = if parts.is_empty() { line } else { line.field("parts", parts.join(",")) };
    log::info!("{}", line.finish());
}

fn refused(error: &StoreError) -> Response {
    Response::Refused(Refusal::Temporary, format!("the store could not do it: {error}"))
}

fn account_of(directory: &Directory, address: &Address) -> Result<AccountId, String> {
    match directory.target(address) {
        Some(Target::Account(id)) => Ok(id),
        Some(Target::Alias) => {
            Err(format!("{address} is an alias; mail is kept by accounts, so name one of its members"))
        }
        None => Err(format!("no account has the address {address}; `gatepost account list` shows them")),
    }
}

fn row(record: MessageRecord) -> MessageRow {
    MessageRow {
        id: record.uid,
        size: record.octets(),
        received: record.received,
        from: record.sender,
        to: record.recipient,
        mail: record.body.to_string(),
    }
}

/// The directory as changes that make it from nothing. A password hash is nobody's business.
fn as_changes(directory: &Directory) -> Vec<Change> {
    let domains = directory.domains().cloned().map(Change::PutDomain);
    let accounts = directory.accounts().map(Account::without_secrets).map(Change::PutAccount);
    let aliases = directory.aliases().cloned().map(Change::PutAlias);
    let histories = directory.histories().map(|(id, history)| Change::PutHistory(id, history.clone()));
    domains.chain(accounts).chain(aliases).chain(histories).collect()
}
