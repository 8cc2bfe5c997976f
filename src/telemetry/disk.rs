//! One line when the disk is full and one when there is room again, however many messages meet it.

use super::line::Line;
use crate::limits::LOG_DISK_CALM_MS;
use crate::types::Moment;
use log::Level;

/// Whether messages are refused for want of space, as the administrator was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Told {
    /// They are taken.
    #[default]
    Room,
    /// They are refused, since then, the last one then.
    Full { since: Moment, last: Moment },
}

/// Follows the state of the disk.
#[derive(Debug, Default)]
pub struct DiskWatch {
    told: Told,
    /// Messages refused since it was told that the disk is full.
    refused: u64,
    /// When there was room again.
    calm_since: Option<Moment>,
}

impl DiskWatch {
    /// A message was refused for want of space. Gives the line if that is new.
    pub fn refused(&mut self, now: Moment, free_octets: u64) -> Option<(Level, Line)> {
        self.refused = self.refused.saturating_add(1);
        match &mut self.told {
            Told::Full { last, .. } => {
                *last = now;
                None
            }
            // A state that changes back and forth is not told more than once a minute.
            Told::Room if self.calm_since.is_some_and(|at| now.since_ms(at) < LOG_DISK_CALM_MS) => None,
            Told::Room => {
                self.told = Told::Full { since: now, last: now };
                let why = "mail is answered 452 until there is room; make some, or lower limits.disk-reserve-octets";
                Some((
                    Level::Error,
                    Line::new("disk-full").field("free-octets", free_octets).text("reason", why),
                ))
            }
        }
    }

    /// How much is free now, and how much must be for the largest message. Gives the line when there is room
    /// again and nobody was refused for a while.
    pub fn look(&mut self, now: Moment, free_octets: u64, needed_octets: u64) -> Option<(Level, Line)> {
        let Told::Full { since, last } = self.told else { return None };
        if free_octets < needed_octets || now.since_ms(last) < LOG_DISK_CALM_MS {
            return None;
        }
        let refused = std::mem::take(&mut self.refused);
        self.told = Told::Room;
        self.calm_since = Some(now);
        let line = Line::new("disk-has-room").field("free-octets", free_octets);
        let line = line.field("refused", refused).field("seconds", now.since_ms(since) / 1_000);
        Some((Level::Warn, line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(told: Option<(Level, Line)>) -> String {
        told.map(|(_, line)| line.finish()).unwrap_or_default()
    }

    #[test]
    fn ten_thousand_refusals_are_one_line_and_room_again_is_another() {
        let mut disk = DiskWatch::default();
        let first = text(disk.refused(Moment(1_000), 70));
        assert!(first.starts_with("event=disk-full free-octets=70 reason=\"mail is answered 452"), "{first}");
        for now in 1_001..11_000 {
            assert_eq!(disk.refused(Moment(now), 70), None);
            assert_eq!(disk.look(Moment(now), 70, 100), None);
        }
        assert_eq!(disk.look(Moment(10_999 + LOG_DISK_CALM_MS), 99, 100), None);
        assert_eq!(
            text(disk.look(Moment(10_999 + LOG_DISK_CALM_MS), 100, 100)),
            "event=disk-has-room free-octets=100 refused=10000 seconds=69"
        );
        assert_eq!(disk.look(Moment(20_000 + LOG_DISK_CALM_MS), 100, 100), None);
    }

    #[test]
    fn a_disk_that_wavers_is_two_lines_a_minute_at_the_most() {
        let mut disk = DiskWatch::default();
        let mut lines = 0;
        for now in 0..600 {
            let now = Moment(now * 1_000);
            lines += usize::from(disk.refused(now, 500).is_some());
            lines += usize::from(disk.look(now, 500, 100).is_some());
        }
        assert!(lines <= 20, "{lines}");
        assert!(lines >= 1);
    }
}
