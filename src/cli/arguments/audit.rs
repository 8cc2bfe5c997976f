//! The arguments of `audit`.

use super::{Form, Given, usage};
use crate::audit::channel::Probe;
use crate::cli::failure::Failure;
use crate::cli::spec::Opt;
use crate::limits::{
    AUDIT_JITTER_US_MAX, AUDIT_NAMES_MAX, AUDIT_RATE_MAX, AUDIT_ROUNDS_DEFAULT, AUDIT_ROUNDS_MAX,
    AUDIT_ROUNDS_MIN, AUDIT_THRESHOLD_MILLIBITS,
};

/// What is to be audited, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// `HOST:PORT` for mail; a server of our own if there is none.
    pub to: Option<String>,
    /// `HOST:PORT` for logins behind STARTTLS.
    pub submission: Option<String>,
    /// `HOST:PORT` for logins with TLS at once.
    pub submissions: Option<String>,
    /// Names that can log in.
    pub accounts: Vec<String>,
    /// Names that get mail and cannot log in.
    pub aliases: Vec<String>,
    /// Rounds of each measurement.
    pub rounds: usize,
    /// Visits a second.
    pub rate: Option<u32>,
    /// What alone is tried, `None` for what one look shows (`starttls`); everything, if it is empty.
    pub only: Vec<Option<Probe>>,
    /// Chance that is added to times, in microseconds at the most.
    pub jitter_us: Option<u64>,
    /// Above this it fails, in bits.
    pub threshold_bits: f64,
    /// Whether somebody says that a host elsewhere is theirs.
    pub is_own_host: bool,
    /// How it is told.
    pub form: Form,
}

impl Given {
    /// What `audit` is to do.
    pub(super) fn audit(&self) -> Result<Order, Failure> {
        let one = |opt: Opt| Ok::<_, Failure>(self.texts(opt)?.pop());
        let order = Order {
            to: one(Opt::To)?,
            submission: one(Opt::Submission)?,
            submissions: one(Opt::Submissions)?,
            accounts: self.names(Opt::Known)?,
            aliases: self.names(Opt::Alias)?,
            rounds: self
                .number(Opt::Samples, AUDIT_ROUNDS_MIN, AUDIT_ROUNDS_MAX)?
                .unwrap_or(AUDIT_ROUNDS_DEFAULT),
            rate: self.number(Opt::Rate, 1, AUDIT_RATE_MAX)?,
            only: self.only()?,
            jitter_us: self.number(Opt::Jitter, 0, AUDIT_JITTER_US_MAX)?,
            threshold_bits: self.threshold()?,
            is_own_host: self.has(Opt::IOwnThisHost),
            form: self.form(),
        };
        if self.texts(Opt::To)?.len() > 1 {
            return Err(usage("--to may be given once"));
        }
        let names_elsewhere = [Opt::Submission, Opt::Submissions, Opt::Known, Opt::Alias];
        if let (None, Some(opt)) = (&order.to, names_elsewhere.into_iter().find(|opt| self.has(*opt))) {
            return Err(usage(format!("--{} wants --to HOST:PORT, the server that it is about", opt.name())));
        }
        Ok(order)
    }

    fn names(&self, opt: Opt) -> Result<Vec<String>, Failure> {
        let names = self.texts(opt)?;
        if names.len() > AUDIT_NAMES_MAX {
            return Err(usage(format!("--{} may be given {AUDIT_NAMES_MAX} times", opt.name())));
        }
        // They become part of commands.
        let is_bad =
            |name: &&String| name.is_empty() || name.contains(|c: char| c.is_control() || "<> ".contains(c));
        match names.iter().find(is_bad) {
            Some(name) => Err(usage(format!("--{} {name:?}: an address is wanted", opt.name()))),
            None => Ok(names),
        }
    }

    fn only(&self) -> Result<Vec<Option<Probe>>, Failure> {
        let probe = |name: String| match name.as_str() {
            "starttls" => Ok(None),
            other => Probe::of(other).map(Some).ok_or_else(|| {
                let names: Vec<&str> = Probe::ALL.into_iter().map(Probe::name).collect();
                usage(format!("--only {name:?}: there are {}, starttls", names.join(", ")))
            }),
        };
        self.texts(Opt::Only)?.into_iter().map(probe).collect()
    }

    pub(super) fn number<T>(&self, opt: Opt, min: T, max: T) -> Result<Option<T>, Failure>
    where
        T: std::str::FromStr + PartialOrd + std::fmt::Display,
    {
        let Some(text) = self.texts(opt)?.pop() else { return Ok(None) };
        let number = text.parse().ok().filter(|number| (&min..=&max).contains(&number));
        let wrong = || usage(format!("--{} {text:?}: a number from {min} to {max} is wanted", opt.name()));
        number.map(Some).ok_or_else(wrong)
    }

    fn threshold(&self) -> Result<f64, Failure> {
        let Some(text) = self.texts(Opt::Threshold)?.pop() else {
            return Ok(f64::from(AUDIT_THRESHOLD_MILLIBITS) / 1_000.0);
        };
        let bits = text.parse::<f64>().ok().filter(|bits| (0.0..=1.0).contains(bits));
        bits.ok_or_else(|| usage(format!("--threshold {text:?}: bits from 0 to 1 are wanted")))
    }
}
