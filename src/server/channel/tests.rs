use super::*;
use crate::types::Chance;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;

type End = Channel<String, String>;

fn ends() -> (End, End) {
    let (a, b) = pair().unwrap();
    (Channel::from_fd(a).unwrap(), Channel::from_fd(b).unwrap())
}

/// A descriptor that can be told from others by what is read through it.
fn marked(mark: &str) -> OwnedFd {
    let (read, write) = std::io::pipe().unwrap();
    std::fs::File::from(OwnedFd::from(write)).write_all(mark.as_bytes()).unwrap();
    read.into()
}

fn mark_of(descriptor: OwnedFd) -> String {
    let mut mark = String::new();
    std::fs::File::from(descriptor).read_to_string(&mut mark).unwrap();
    mark
}

fn next(end: &mut End) -> Received<String> {
    end.try_recv().unwrap().unwrap()
}

#[test]
fn messages_arrive_whole_and_in_order() {
    let (sender, mut receiver) = ends();
    assert!(receiver.try_recv().unwrap().is_none());
    for text in ["one", "", "three"] {
        sender.send(&text.to_owned()).unwrap();
    }
    for text in ["one", "", "three"] {
        assert_eq!(next(&mut receiver).message, text);
    }
    assert!(receiver.try_recv().unwrap().is_none());
}

#[test]
fn a_descriptor_stays_with_its_message_when_reads_merge_frames() {
    let (sender, mut receiver) = ends();
    let (one, two, three) = (marked("1"), marked("2"), marked("3"));
    sender.send(&"none".to_owned()).unwrap();
    sender.send_with(&"one".to_owned(), &[one.as_fd()]).unwrap();
    sender.send(&"none again".to_owned()).unwrap();
    sender.send_with(&"two".to_owned(), &[two.as_fd(), three.as_fd()]).unwrap();
    drop((one, two, three));
    for (text, marks) in
        [("none", vec![]), ("one", vec!["1"]), ("none again", vec![]), ("two", vec!["2", "3"])]
    {
        let received = next(&mut receiver);
        assert_eq!(received.message, text);
        assert_eq!(received.descriptors.into_iter().map(mark_of).collect::<Vec<_>>(), marks);
    }
}

#[test]
fn a_descriptor_stays_with_its_message_when_a_frame_arrives_octet_by_octet() {
    let (a, b) = pair().unwrap();
    let mut receiver: End = Channel::from_fd(b).unwrap();
    let pipe = marked("late");
    let mut space = [MaybeUninit::uninit(); CONTROL_OCTETS];
    let mut frames = encode(&"first".to_owned(), 0).unwrap();
    let first_of_second = frames.len();
    frames.extend_from_slice(&encode(&"second".to_owned(), 1).unwrap());
    let mut messages = Vec::new();
    for (place, octet) in frames.iter().enumerate() {
        let mut control = SendAncillaryBuffer::new(&mut space);
        let pipes = [pipe.as_fd()];
        if place == first_of_second {
            assert!(control.push(SendAncillaryMessage::ScmRights(&pipes)));
        }
        sendmsg(&a, &[IoSlice::new(&[*octet])], &mut control, SendFlags::empty()).unwrap();
        if place % 3 == 0 {
            messages.extend(receiver.try_recv().unwrap());
        }
    }
    drop(pipe);
    messages.extend(receiver.try_recv().unwrap());
    assert_eq!(messages.len(), 2);
    let second = messages.pop().unwrap();
    assert_eq!((second.message.as_str(), second.descriptors.len()), ("second", 1));
    assert_eq!(mark_of(second.descriptors.into_iter().next().unwrap()), "late");
    assert!(messages.pop().unwrap().descriptors.is_empty());
}

#[test]
fn any_mixture_of_messages_and_descriptors_arrives_as_it_was_sent() {
    let (sender, mut receiver) = ends();
    let mut chance = Chance::from_seed([4; 32]);
    let writer = std::thread::spawn(move || {
        for number in 0..200 {
            let pipes: Vec<OwnedFd> =
                (0..chance.below(4)).map(|n| marked(&format!("{number}.{n}"))).collect();
            let length = usize::try_from(chance.below(30_000)).unwrap();
            let text = format!("{number} {} {}", pipes.len(), "x".repeat(length));
            let borrowed: Vec<BorrowedFd<'_>> = pipes.iter().map(AsFd::as_fd).collect();
            sender.send_with(&text, &borrowed).unwrap();
        }
    });
    let mut number = 0;
    let end = loop {
        match receiver.try_recv() {
            Ok(Some(received)) => {
                let count = received.descriptors.len();
                assert!(received.message.starts_with(&format!("{number} {count} ")));
                for (n, descriptor) in received.descriptors.into_iter().enumerate() {
                    assert_eq!(mark_of(descriptor), format!("{number}.{n}"));
                }
                number += 1;
            }
            Ok(None) => {
                poll(&mut [PollFd::new(&receiver, PollFlags::IN)], None).unwrap();
            }
            Err(error) => break error,
        }
    };
    assert_eq!((number, end.kind()), (200, ErrorKind::UnexpectedEof));
    writer.join().unwrap();
}

#[test]
fn received_descriptors_are_closed_on_exec() {
    let (sender, mut receiver) = ends();
    sender.send_with(&"x".to_owned(), &[marked("x").as_fd()]).unwrap();
    let received = next(&mut receiver);
    let flags = rustix::io::fcntl_getfd(&received.descriptors[0]).unwrap();
    assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
}

#[test]
fn as_many_descriptors_as_there_may_be_listeners_fit_and_one_more_is_an_error() {
    let (sender, mut receiver) = ends();
    let pipe = marked("x");
    let most = vec![pipe.as_fd(); CHANNEL_DESCRIPTORS_MAX];
    sender.send_with(&"x".to_owned(), &most).unwrap();
    assert_eq!(next(&mut receiver).descriptors.len(), CHANNEL_DESCRIPTORS_MAX);
    let more = vec![pipe.as_fd(); CHANNEL_DESCRIPTORS_MAX + 1];
    let error = sender.send_with(&"x".to_owned(), &more).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_message_too_large_is_never_sent_and_never_taken() {
    let (sender, mut receiver) = ends();
    let error = sender.send(&"x".repeat(CHANNEL_FRAME_OCTETS_MAX)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(receiver.try_recv().unwrap().is_none());
    rustix::io::write(&sender, &[0xff; HEAD_OCTETS]).unwrap();
    assert_eq!(receiver.try_recv().unwrap_err().kind(), ErrorKind::InvalidData);
}

#[test]
fn what_is_no_message_is_an_error() {
    for frame in [&b"\0\0\0\x01\0\0\0\0{"[..], b"\0\0\0\x02\0\0\0\x01\"\"", b"\0\0\0\x02\0\0\0\0[]"] {
        let (sender, mut receiver) = ends();
        rustix::io::write(&sender, frame).unwrap();
        assert_eq!(receiver.try_recv().unwrap_err().kind(), ErrorKind::InvalidData, "{frame:?}");
    }
}

#[test]
fn the_end_of_the_other_side_is_seen_after_its_last_message() {
    let (sender, mut receiver) = ends();
    sender.send(&"last".to_owned()).unwrap();
    drop(sender);
    assert_eq!(next(&mut receiver).message, "last");
    assert_eq!(receiver.try_recv().unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn sending_to_a_closed_side_is_an_error_and_no_signal() {
    let (sender, receiver) = ends();
    drop(receiver);
    assert_eq!(sender.send(&"x".to_owned()).unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[test]
fn neither_end_survives_an_exec_by_accident() {
    let (a, b) = pair().unwrap();
    for end in [&a, &b] {
        assert!(end.as_raw_fd() > 2);
        assert!(rustix::io::fcntl_getfd(end).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
    }
}
