//! A written-down session: `C:` and `S:`, `>>>` and `<<<`, Postfix's `In:` and `Out:`, swaks, Python's smtplib; and
//! one without any marks, from a banner of SMTP to the line that ends it.
//!
//! Nobody says there where the client came from, but for Postfix's subject (`errors from NAME[ADDRESS]`). Which of
//! `>>>` and `<<<` is the server's is seen from who sends reply codes.

use crate::import::conversation::{Conversation, reply};
use crate::import::{Finding, Heard, Line, Reader, Server, scan};
use std::net::IpAddr;

/// See the module.
#[derive(Debug)]
pub struct Transcript {
    session: Conversation,
    /// The source that a subject named, for the next session.
    named: Option<IpAddr>,
    /// `>>>` is the server's.
    turned: bool,
    /// Lines of a server were heard in this session.
    answered: bool,
    /// Lines come without marks.
    bare: bool,
    /// Sessions that are over.
    count: u64,
}

impl Default for Transcript {
    fn default() -> Self {
        Self { session: numbered(0), count: 0, named: None, turned: false, answered: false, bare: false }
    }
}

/// Who says a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaker {
    Client,
    Server,
    /// `>>>`
    Right,
    /// `<<<`
    Left,
}

/// What stands before a line, and whose it is. swaks marks TLS with `~` and errors with `*`.
const MARKERS: [(&str, Speaker); 26] = [
    ("C: ", Speaker::Client),
    ("S: ", Speaker::Server),
    ("C:", Speaker::Client),
    ("S:", Speaker::Server),
    ("CLIENT: ", Speaker::Client),
    ("SERVER: ", Speaker::Server),
    ("Client: ", Speaker::Client),
    ("Server: ", Speaker::Server),
    ("In: ", Speaker::Client),
    ("Out: ", Speaker::Server),
    (">>> ", Speaker::Right),
    ("<<< ", Speaker::Left),
    (">>>", Speaker::Right),
    ("<<<", Speaker::Left),
    ("-> ", Speaker::Client),
    ("<- ", Speaker::Server),
    ("~> ", Speaker::Client),
    ("<~ ", Speaker::Server),
    ("<** ", Speaker::Server),
    ("<~* ", Speaker::Server),
    ("**> ", Speaker::Client),
    ("*~> ", Speaker::Client),
    ("=> ", Speaker::Client),
    ("<= ", Speaker::Server),
    ("> ", Speaker::Right),
    ("< ", Speaker::Left),
];

impl Reader for Transcript {
    fn server(&self) -> Server {
        Server::Transcript
    }

    fn read(&mut self, line: &Line<'_>, found: &mut Vec<Finding>) -> Heard {
        if line.prefix.program.is_some() {
            return Heard::NotMine;
        }
        if let Some(source) = line.whole.strip_prefix("Subject: ").and_then(subject) {
            self.over(found);
            self.named = Some(source);
            return Heard::Understood;
        }
        if let Some((speaker, text)) = smtplib(line.whole) {
            return self.said(line, speaker, &text, found);
        }
        match spoken(line.whole).or_else(|| spoken(line.text)) {
            Some((speaker, text)) => self.said(line, speaker, text, found),
            None => self.unmarked(line, found),
        }
    }

    fn end(&mut self, found: &mut Vec<Finding>) {
        self.over(found);
    }
}

impl Transcript {
    fn said(&mut self, line: &Line<'_>, speaker: Speaker, text: &str, found: &mut Vec<Finding>) -> Heard {
        let answers = reply(text);
        let is_server = match speaker {
            Speaker::Client => false,
            Speaker::Server => true,
            Speaker::Right | Speaker::Left => {
                // The first reply of a session says who the server is.
                if answers.is_some() && !self.answered {
                    self.turned = speaker == Speaker::Right;
                }
                (speaker == Speaker::Right) == self.turned
            }
        };
        if !is_server {
            self.session.client(line, text, found);
            return Heard::Understood;
        }
        if answers.is_some_and(|(code, ..)| code == 220)
            && !self.session.is_fresh()
            && !self.session.awaits_tls()
        {
            self.over(found);
        }
        self.answered = true;
        self.session.source = self.session.source.or(self.named.take());
        self.session.server(line, text, found);
        Heard::Understood
    }

    /// A line without a mark: replies are the server's, everything else the client's.
    fn unmarked(&mut self, line: &Line<'_>, found: &mut Vec<Finding>) -> Heard {
        let answers = reply(line.whole);
        let greets = answers.is_some_and(|(code, _, words)| code == 220 && words.contains("SMTP"));
        if !self.bare && !greets {
            return Heard::NotMine;
        }
        self.bare = true;
        let speaker = if answers.is_some() { Speaker::Server } else { Speaker::Client };
        let heard = self.said(line, speaker, line.whole, found);
        if answers.is_some_and(|(code, last, _)| last && (code == 221 || code == 421)) {
            self.over(found);
        }
        heard
    }

    /// The session is over; another may follow.
    fn over(&mut self, found: &mut Vec<Finding>) {
        self.count = self.count.wrapping_add(1);
        std::mem::replace(&mut self.session, numbered(self.count)).end(found);
        self.answered = false;
        self.bare = false;
    }
}

/// A session named by its number in the file.
fn numbered(count: u64) -> Conversation {
    let mut session = Conversation::new(Server::Transcript);
    session.session = Some(count.to_string());
    session
}

/// `send: 'ehlo x\r\n'`, `reply: b'250 ok\r\n'`: Python writes octets with its own escapes. (`reply: retcode` says the
/// same again.)
fn smtplib(text: &str) -> Option<(Speaker, String)> {
    let (speaker, quoted) = match text.strip_prefix("send: ") {
        Some(quoted) => (Speaker::Client, quoted),
        None => (Speaker::Server, text.strip_prefix("reply: ")?),
    };
    let quoted = quoted.strip_prefix('b').unwrap_or(quoted);
    let inner = ['\'', '"'].iter().find_map(|quote| quoted.strip_prefix(*quote)?.strip_suffix(*quote))?;
    let (said, _) = scan::unquote(&format!("{}\"", inner.replace('"', "\\\"")))?;
    Some((speaker, said.trim_end().to_owned()))
}

fn spoken(text: &str) -> Option<(Speaker, &str)> {
    let text = text.trim_start();
    MARKERS.iter().find_map(|(marker, speaker)| {
        // Postfix and swaks align: `In:  EHLO x`, `<-  250 OK`.
        text.strip_prefix(marker).map(|said| (*speaker, said.trim_start()))
    })
}

/// `Postfix SMTP server: errors from NAME[ADDRESS]`.
fn subject(text: &str) -> Option<IpAddr> {
    let client = text.trim_end().strip_prefix("Postfix SMTP server: errors from ")?;
    scan::client(client).map(|(_, address)| address)
}

#[cfg(test)]
mod tests {
    use super::super::harness::{brief, read};
    use super::*;
    use crate::import::What;

    fn told(log: &str) -> Vec<(u64, What, String, String)> {
        brief(&read(Server::Transcript, log))
    }

    #[test]
    fn every_way_to_mark_who_speaks_is_read() {
        let said = [
            (true, "220 mx.example ESMTP"),
            (false, "EHLO x"),
            (true, "250 AUTH PLAIN"),
            (false, "AUTH PLAIN AGluZm8AcGFzcw=="),
            (true, "535 5.7.8 no"),
        ];
        for (client, server) in [
            ("C: ", "S: "),
            (">>> ", "<<< "),
            ("<<< ", ">>> "),
            (" In:  ", " Out: "),
            (" -> ", "<-  "),
            (" ~> ", "<~* "),
            ("> ", "< "),
        ] {
            let log: String = said
                .iter()
                .map(|(by_server, text)| format!("{}{text}\n", if *by_server { server } else { client }))
                .collect();
            assert_eq!(told(&log), [(5, What::Login, String::new(), "info".into())], "{client} {server}");
        }
    }

    #[test]
    fn a_session_without_marks_begins_with_its_banner() {
        let log = "220 mx.example ESMTP ready\nEHLO x\n250-mx.example\n250 AUTH LOGIN\nAUTH LOGIN\n334 VXNlcm5hbWU6\naW5mbw==\n334 UGFzc3dvcmQ6\ncGFzcw==\n535 no\nQUIT\n221 bye\n535 not of a session\n";
        assert_eq!(told(log), [(10, What::Login, String::new(), "info".into())]);
    }

    #[test]
    fn what_python_writes_is_read() {
        let log = r"send: 'ehlo x\r\n'
reply: b'250-mx.example\r\n'
reply: b'250 AUTH PLAIN\r\n'
reply: retcode (250); Msg: b'mx.example\nAUTH PLAIN'
send: 'AUTH PLAIN AGluZm8AcGFzcw==\r\n'
reply: b'535 5.7.8 no\r\n'
reply: retcode (535); Msg: b'5.7.8 no'
";
        assert_eq!(told(log), [(6, What::Login, String::new(), "info".into())]);
    }

    #[test]
    fn several_sessions_of_a_file_are_told_apart_and_a_subject_names_the_client() {
        let log = "Subject: Postfix SMTP server: errors from unknown[192.0.2.7]
 Out: 220 mx.example ESMTP Postfix
 In:  AUTH LOGIN
 Out: 334 VXNlcm5hbWU6
 In:  aW5mbw==
 Out: 334 UGFzc3dvcmQ6
Subject: Postfix SMTP server: errors from a.example[192.0.2.8]
 Out: 220 mx.example ESMTP Postfix
 In:  GET / HTTP/1.1
 Out: 502 5.5.2 Error: command not recognized
";
        assert_eq!(told(log), [(10, What::Garbage, "192.0.2.8".into(), String::new())]);
    }

    #[test]
    fn a_banner_in_the_middle_begins_a_new_session_and_starttls_does_not() {
        let log = "S: 220 a\nC: STARTTLS\nS: 220 go\nC: EHLO x\nS: 250 SIZE\nC: AUTH PLAIN AGluZm8AcGFzcw==\nS: 220 b\nC: QUIT\nS: 221 bye\n";
        assert_eq!(told(log), [(6, What::AuthCommand, String::new(), "info".into())]);
    }
}
