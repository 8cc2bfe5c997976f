//! A story: what clients, the world and the clock do to sessions, made from octets.
//!
//! Random octets rarely get past EHLO. A story is made of commands that are nearly right, so that the fuzzer
//! reaches every phase and every answer within it.

use arbitrary::Arbitrary;
use gatepost::contract::{Listener, TlsFacts};
use gatepost::dialog::play::Report;
use gatepost::dialog::text::Text;
use gatepost::dialog::{About, Event, GIVEN, Given, Kind};

/// A story.
#[derive(Debug, Arbitrary)]
pub struct Story {
    door: Door,
    start: Start,
    steps: Vec<Step>,
}

#[derive(Debug, Arbitrary)]
enum Door {
    Smtp,
    Submission,
    Submissions,
}

/// How far the session has come when the story begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Arbitrary)]
enum Start {
    Greeted,
    Introduced,
    LoggedIn,
    Envelope,
    Body,
    Chunks,
}

#[derive(Debug, Arbitrary)]
enum Step {
    /// A line that a mail program sends.
    Say(Phrase),
    /// The end of a message.
    End,
    /// A whole message at once.
    Message,
    /// A line that it does not send, with its CRLF or without.
    Babble(Vec<u8>, bool),
    /// The same line many times.
    Flood(Phrase, u8),
    /// A chunk, its size told right or wrong by so much, and whether it is the last.
    Chunk(Vec<u8>, i8, bool),
    /// The answer to a question.
    Answer(u8),
    /// A question stays open.
    Hold(u8),
    /// Seconds pass.
    Pass(u16),
    TlsUp,
    TlsFailed,
    PeerClosed,
    Broken,
    Stop,
    /// What follows happens to another session.
    Other,
}

#[derive(Debug, Arbitrary)]
enum Phrase {
    Ehlo,
    Helo,
    Mail,
    MailNull,
    MailOwn,
    MailBinary,
    MailUtf8,
    MailSize(u32),
    Rcpt,
    RcptAlias,
    RcptUnknown,
    RcptElsewhere,
    RcptPostmaster,
    Data,
    Dot,
    Stuffed,
    Text,
    Field,
    LoneLf,
    LoneCr,
    Rset,
    Noop,
    Quit,
    Vrfy,
    Help,
    StartTls,
    AuthPlain,
    AuthPlainRight,
    AuthPlainWrong,
    AuthLogin,
    Cancel,
    Base64,
    Nothing,
}

impl Phrase {
    /// The line without its CRLF.
    fn text(&self) -> String {
        match self {
            Self::Ehlo => "EHLO client.example",
            Self::Helo => "HELO client.example",
            Self::Mail => "MAIL FROM:<you@client.example>",
            Self::MailNull => "MAIL FROM:<>",
            Self::MailOwn => "MAIL FROM:<me@example.org>",
            Self::MailBinary => "MAIL FROM:<me@example.org> BODY=BINARYMIME",
            Self::MailUtf8 => "MAIL FROM:<j\u{f6}rg@client.example> SMTPUTF8",
            Self::MailSize(octets) => return format!("MAIL FROM:<me@example.org> SIZE={octets}"),
            Self::Rcpt => "RCPT TO:<me@example.org>",
            Self::RcptAlias => "RCPT TO:<sales@example.org>",
            Self::RcptUnknown => "RCPT TO:<a%b@example.org>",
            Self::RcptElsewhere => "RCPT TO:<a@elsewhere.example>",
            Self::RcptPostmaster => "RCPT TO:<Postmaster>",
            Self::Data => "DATA",
            Self::Dot => ".",
            Self::Stuffed => "..",
            Self::Text => "text",
            Self::Field => "Received: from a by b",
            Self::LoneLf => "a\nb",
            Self::LoneCr => "a\rb",
            Self::Rset => "RSET",
            Self::Noop => "NOOP",
            Self::Quit => "QUIT",
            Self::Vrfy => "VRFY me",
            Self::Help => "HELP",
            Self::StartTls => "STARTTLS",
            Self::AuthPlain => "AUTH PLAIN",
            Self::AuthPlainRight => "AUTH PLAIN AG1lQGV4YW1wbGUub3JnAGNvcnJlY3QgaG9yc2U=",
            Self::AuthPlainWrong => "AUTH PLAIN AG1lQGV4YW1wbGUub3JnAHdyb25n",
            Self::AuthLogin => "AUTH LOGIN",
            Self::Cancel => "*",
            Self::Base64 => "bWVAZXhhbXBsZS5vcmc=",
            Self::Nothing => "",
        }
        .to_owned()
    }
}

impl Story {
    /// What is said before the story begins.
    fn opening(&self) -> Vec<Event> {
        let say = |phrase: Phrase| Event::Client(Text::from_octets(phrase.text().as_bytes()), true);
        let mut events = Vec::new();
        if self.start >= Start::Introduced {
            events.push(say(Phrase::Ehlo));
        }
        if self.start >= Start::LoggedIn {
            match self.door {
                Door::Smtp => {}
                Door::Submission => {
                    events.push(say(Phrase::StartTls));
                    events.extend(Step::TlsUp.event());
                    events.extend([say(Phrase::Ehlo), say(Phrase::AuthPlainRight)]);
                }
                Door::Submissions => events.push(say(Phrase::AuthPlainRight)),
            }
        }
        if self.start >= Start::Envelope {
            events.extend([say(Phrase::MailOwn), say(Phrase::RcptAlias)]);
        }
        match self.start {
            Start::Greeted | Start::Introduced | Start::LoggedIn | Start::Envelope => {}
            Start::Body => events.push(say(Phrase::Data)),
            Start::Chunks => events.extend(Step::Chunk(b"text\r\n".to_vec(), 0, false).event()),
        }
        events
    }

    /// Plays it; every law must be kept however the octets are cut.
    ///
    /// # Errors
    /// The law that was broken, with the dialogue that shows it.
    pub fn play(&self) -> Result<Report, String> {
        let listener = match self.door {
            Door::Smtp => Listener::Smtp,
            Door::Submission => Listener::Submission,
            Door::Submissions => Listener::Submissions,
        };
        let mut kinds = gatepost::fuzz::world()?;
        kinds.extend(self.opening().into_iter().map(|event| Kind::Session(1, event)));
        let mut session = 1;
        for step in &self.steps {
            if let Step::Other = step {
                session = 3 - session;
            } else if let Step::Pass(seconds) = step {
                kinds.push(Kind::Pass(u64::from(*seconds) * 1_000));
            } else if let Step::Stop = step {
                kinds.push(Kind::Stop);
            } else {
                kinds.extend(step.event().map(|event| Kind::Session(session, event)));
            }
        }
        gatepost::fuzz::story(listener, kinds)
    }
}

impl Step {
    fn event(&self) -> Option<Event> {
        let say = |octets: &[u8], crlf| Some(Event::Client(Text::from_octets(octets), crlf));
        match self {
            Self::Say(phrase) => say(phrase.text().as_bytes(), true),
            Self::End => say(b".", true),
            Self::Message => {
                let words = [Phrase::MailOwn, Phrase::Rcpt, Phrase::Data, Phrase::Stuffed, Phrase::Dot];
                say(words.map(|word| word.text()).join("\r\n").as_bytes(), true)
            }
            Self::Babble(octets, crlf) => say(octets, *crlf),
            Self::Flood(phrase, times) => {
                say(format!("{}\r\n", phrase.text()).repeat(usize::from(*times)).as_bytes(), false)
            }
            Self::Chunk(octets, off, last) => {
                let size = octets.len().saturating_add_signed(isize::from(*off));
                let last = if *last { " LAST" } else { "" };
                let mut text = format!("BDAT {size}{last}\r\n").into_bytes();
                text.extend_from_slice(octets);
                say(&text, false)
            }
            Self::Answer(which) => {
                let (about, _, given) = GIVEN.get(usize::from(*which) % GIVEN.len())?;
                Some(Event::Answer(*about, given.clone()))
            }
            Self::Hold(which) => {
                let about = About::ALL.get(usize::from(*which) % About::ALL.len())?;
                Some(Event::Answer(*about, Given::Wait))
            }
            Self::TlsUp => {
                let cipher = "TLS13_AES_128_GCM_SHA256".to_owned();
                Some(Event::TlsUp(TlsFacts {
                    version: "TLSv1.3",
                    cipher,
                    bindings: gatepost::types::ChannelBindings::default(),
                }))
            }
            Self::TlsFailed => Some(Event::TlsFailed),
            Self::PeerClosed => Some(Event::PeerClosed),
            Self::Broken => Some(Event::Broken),
            Self::Pass(_) | Self::Stop | Self::Other => None,
        }
    }
}
