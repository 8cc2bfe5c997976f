//! What hostile sessions did, as dialogues that can be played again (see [`dialog`](crate::dialog)), and nothing
//! of what somebody may want kept secret.
//!
//! A [`Tape`] runs beside a session: it sees what the session is given and what it says. What it writes down went
//! through an allow-list first, at once and not at the end: words of the protocol, addresses and domains that are
//! ours; everything else is a stand-in of the same shape, so that a player takes the same way through the session.
//! Bodies are counted, not kept. Memory for all tapes comes from one [`Arena`]; a session beyond its share is cut,
//! and plays up to there.
//!
//! A session that did nothing wrong leaves no [`Recording`]. Recordings of one source that overlap are brought
//! together by [`Groups`], and [`write`] makes a file of them, plays it, and only gives away what plays as recorded.

mod arena;
mod body;
mod events;
mod groups;
mod names;
mod reel;
mod sasl;
mod shape;
mod tape;
#[cfg(test)]
mod tests;
mod voice;
pub mod write;

pub use arena::Arena;
pub use events::{Event, Events};
pub use groups::Groups;
pub use names::Facts;
pub use tape::{Recording, Sight, Tape};
