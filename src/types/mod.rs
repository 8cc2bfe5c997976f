//! Values that cannot be wrong. Everything else in the crate may name this room; it names nothing but `limits`.

pub mod address;
pub mod chance;
pub mod domain;
pub mod id;
pub mod local_part;
pub mod prefix;
pub mod reply;
pub mod scram;
pub mod secret;
pub mod time;

pub use address::{Address, AddressKey, ForwardPath, Host, Mailbox, ReversePath};
pub use chance::Chance;
pub use domain::Domain;
pub use id::{AccountId, MailId, SessionId, Uid};
pub use local_part::LocalPart;
pub use prefix::{Prefix, PrefixError};
pub use reply::{Enhanced, Reply};
pub use scram::{ChannelBindings, ScramKeys, ScramSalt, ScramUse};
pub use secret::Secret;
pub use time::{Moment, Now, UnixTime};
