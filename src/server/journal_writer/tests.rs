use super::*;
use crate::dialog::parse::parse;
use crate::dialog::play::{Cuts, play, play_recorded};
use crate::journal::Arena;
use crate::limits::JOURNAL_OCTETS_FLOOR;
use std::fs::FileTimes;

const HOSTILE: &str = "gatepost-dialog 1\nlistener: smtp\nW: domain example.org\nC: MUMBLE\nC: QUIT\n";

/// A writer in a directory of its own, and what sessions are recorded with.
struct Desk {
    dir: tempfile::TempDir,
    settings: Arc<Settings>,
}

impl Desk {
    fn new() -> Self {
        let settings = play_recorded(&parse(HOSTILE).unwrap(), &mut Cuts::Whole, arena()).1;
        Self { dir: tempfile::tempdir().unwrap(), settings }
    }

    fn writer(&self, octets: u64, days: u64, reserve_octets: u64) -> Writer {
        let config = JournalConfig { octets, days, ..JournalConfig::default() };
        let data_dir = self.dir.path().to_owned();
        let place = Place { data_dir, reserve_octets, config, settings: Arc::clone(&self.settings) };
        Writer::new(place, Arc::default())
    }

    fn journal(&self) -> PathBuf {
        self.dir.path().join(DIRECTORY)
    }

    /// A file as an earlier process left it, so old.
    fn left(&self, name: &str, octets: usize, age: Duration) {
        make_private(&self.journal()).unwrap();
        let path = self.journal().join(name);
        fs::write(&path, "x".repeat(octets)).unwrap();
        let time = SystemTime::now().checked_sub(age).unwrap();
        OpenOptions::new()
            .write(true)
            .open(path)
            .unwrap()
            .set_times(FileTimes::new().set_modified(time))
            .unwrap();
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.journal()).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn arena() -> Arc<Arena> {
    Arc::new(Arena::new(1024 * 1024))
}

fn recordings() -> Vec<Recording> {
    play_recorded(&parse(HOSTILE).unwrap(), &mut Cuts::Whole, arena()).0
}

fn counted(counts: &Counts) -> Vec<(&'static str, u64)> {
    counts.list().collect()
}

const KIB: u64 = 1024;
const MUCH: u64 = 1024 * KIB;
const HOUR: Duration = Duration::from_secs(3_600);

/// What a file of a time is called.
fn named(day: u32, session: u32) -> String {
    format!("202611{day:02}T120000Z-{session:012x}.txt")
}

#[test]
fn the_oldest_files_go_when_there_are_too_many_octets() {
    let desk = Desk::new();
    for day in 1..=5 {
        desk.left(&named(day, day), 20 * 1024, HOUR);
    }
    let mut writer = desk.writer(JOURNAL_OCTETS_FLOOR, 30, 0);
    writer.look();
    assert_eq!(desk.names(), [named(3, 3), named(4, 4), named(5, 5)]);
    assert_eq!(writer.octets, 60 * KIB);
    // One more file has room only if another goes.
    writer.write(&named(6, 6), &[b'x'; 5 * 1024]).unwrap();
    writer.tidy();
    assert_eq!(desk.names(), [named(4, 4), named(5, 5), named(6, 6)]);
    assert_eq!(writer.octets, 45 * KIB);
}

#[test]
fn files_go_when_they_are_older_than_the_days() {
    let desk = Desk::new();
    desk.left(&named(1, 1), 10, DAY * 9);
    desk.left(&named(2, 2), 10, DAY * 7 + HOUR);
    desk.left(&named(3, 3), 10, DAY * 7 - HOUR);
    let mut writer = desk.writer(MUCH, 7, 0);
    writer.look();
    assert_eq!((desk.names(), writer.octets), (vec![named(3, 3)], 10));
}

#[test]
fn half_a_file_of_an_earlier_process_goes_and_what_is_not_ours_stays() {
    let desk = Desk::new();
    desk.left(&format!("{}.part", named(1, 1)), 10, HOUR);
    for name in ["notes.txt", "1-of-mine.txt", "kept.part"] {
        desk.left(name, 70 * 1024, DAY * 900);
    }
    desk.left(&named(2, 2), 10, HOUR);
    let mut writer = desk.writer(JOURNAL_OCTETS_FLOOR, 7, 0);
    writer.look();
    assert_eq!(desk.names(), ["1-of-mine.txt", &named(2, 2), "kept.part", "notes.txt"]);
    assert_eq!(writer.octets, 10);
}

#[test]
fn the_same_name_twice_counts_its_octets_once() {
    let desk = Desk::new();
    let mut writer = desk.writer(MUCH, 30, 0);
    writer.write(&named(1, 1), b"twelve octet").unwrap();
    writer.write(&named(1, 1), b"four").unwrap();
    assert_eq!((writer.octets, writer.files.len()), (4, 1));
}

#[test]
fn a_full_disk_is_counted_and_leaves_nothing_and_writing_goes_on_when_there_is_room() {
    let desk = Desk::new();
    let mut writer = desk.writer(MUCH, 30, u64::MAX);
    writer.take(recordings());
    writer.take(recordings());
    assert_eq!((counted(&writer.counts), desk.names()), (vec![("failed", 2)], vec![]));
    assert!(writer.fails, "it is told once");
    writer.place.reserve_octets = 0;
    writer.take(recordings());
    assert_eq!(counted(&writer.counts), [("written", 1), ("failed", 2)]);
    assert_eq!((desk.names().len(), writer.fails), (1, false));
}

#[test]
fn a_write_that_fails_leaves_no_half_of_a_file() {
    let desk = Desk::new();
    let mut writer = desk.writer(MUCH, 30, 0);
    // What the name stands for cannot be replaced by a file.
    fs::create_dir_all(desk.journal().join(named(1, 1))).unwrap();
    assert!(writer.write(&named(1, 1), b"text").is_err());
    assert_eq!((desk.names(), writer.octets), (vec![named(1, 1)], 0));
}

#[test]
fn a_link_in_place_of_the_directory_is_not_followed() {
    let (desk, other) = (Desk::new(), tempfile::tempdir().unwrap());
    std::os::unix::fs::symlink(other.path(), desk.journal()).unwrap();
    let mut writer = desk.writer(MUCH, 30, 0);
    writer.take(recordings());
    assert_eq!(counted(&writer.counts), [("failed", 1)]);
    assert_eq!(fs::read_dir(other.path()).unwrap().count(), 0);
}

#[test]
fn what_the_queue_has_no_room_for_is_counted_and_nobody_waits() {
    let (queue, jobs) = mpsc::sync_channel(JOURNAL_QUEUE_MAX);
    let done = mpsc::channel().1;
    let writer = JournalWriter { queue: Some(queue), done, counts: Arc::default() };
    for _ in 0..JOURNAL_QUEUE_MAX + 3 {
        writer.hand_over(recordings());
    }
    assert_eq!(counted(writer.counts()), [("dropped", 3)]);
    assert_eq!(jobs.try_iter().count(), JOURNAL_QUEUE_MAX);
    drop(jobs);
    writer.hand_over(recordings());
    assert_eq!(counted(writer.counts()), [("dropped", 4)], "nobody takes it any more");
}

#[test]
fn more_files_than_a_second_has_room_for_are_counted_and_the_next_second_has_room() {
    let desk = Desk::new();
    let mut writer = desk.writer(MUCH, 30, 0);
    writer.second = (Instant::now() + Duration::from_secs(60), JOURNAL_FILES_PER_SECOND_MAX);
    writer.take(recordings());
    assert_eq!(counted(&writer.counts), [("dropped", 1)]);
    writer.second.0 = Instant::now().checked_sub(Duration::from_secs(1)).unwrap();
    writer.take(recordings());
    assert_eq!(counted(&writer.counts), [("written", 1), ("dropped", 1)]);
}

#[test]
fn what_is_handed_over_is_written_before_the_thread_ends_and_plays() {
    let desk = Desk::new();
    let place = desk.writer(MUCH, 30, 0).place;
    let mut writer = JournalWriter::start(place).unwrap();
    writer.hand_over(recordings());
    writer.close(Duration::from_secs(30));
    assert_eq!(counted(writer.counts()), [("written", 1)]);
    let [name] = desk.names().try_into().unwrap();
    assert!(is_ours(&name), "{name}");
    let text = fs::read_to_string(desk.journal().join(name)).unwrap();
    assert_eq!(play(&parse(&text).unwrap()).difference, None, "{text}");
}
