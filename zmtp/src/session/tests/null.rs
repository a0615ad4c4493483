use proptest::prelude::*;
use proptest::sample::Index;
use rstest::rstest;

use super::*;
use crate::command;
use crate::greeting;

const READY: &[u8] = b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03REQ";
const PING: &[u8] = b"\x04\x09\x04PING\0\x01hi";
const PONG: &[u8] = b"\x04\x07\x04PONGhi";

fn greeting() -> Vec<u8> {
    [greeting::first_part(&greeting::NULL), greeting::second_part(&greeting::NULL)].concat()
}

fn ready() -> Run<'static> {
    let mut run = Run::new(&Security::Null);
    run.feed(&greeting()).feed(READY).sent();
    assert_eq!(run.seen, [Seen::Consumed(64), Seen::Ready]);
    run.seen.clear();
    run
}

fn message(frames: &[&[u8]]) -> Seen {
    Seen::Message(frames.iter().map(|frame| frame.to_vec()).collect())
}

#[test]
fn handshake_completes() {
    let mut run = Run::new(&Security::Null);
    run.feed(b"");
    assert_eq!(run.sent(), greeting()[..11], "sent before any input");
    run.feed(&greeting()[..10]);
    assert_eq!(run.sent(), b"");
    run.feed(&greeting()[10..11]);
    assert_eq!(run.sent(), greeting()[11..]);
    run.feed(&greeting()[11..]).feed(&READY[..20]);
    run.session.write(&[b"too early"], &mut run.output);
    run.session.admit(true, &mut run.output);
    assert_eq!((run.sent(), run.session.is_ready()), (Vec::new(), false));
    run.feed(&READY[20..]);
    assert_eq!(run.sent(), b"\x04\x1c\x05READY\x0bSocket-Type\0\0\0\x06ROUTER");
    assert_eq!(
        (run.seen, run.session.is_ready(), run.session.key()),
        (vec![Seen::Consumed(64), Seen::Ready], true, None)
    );
}

#[rstest]
#[case::message(b"\0\0", ZmtpError::Unexpected)]
#[case::other_command(b"\x04\x06\x05HELLO", ZmtpError::Unexpected)]
#[case::error(b"\x04\x0a\x05ERROR\x03400", ZmtpError::Peer)]
#[case::garbage(b"\x10", ZmtpError::Flags(0x10))]
#[case::long(b"\x06\0\0\0\0\0\0\x10\0", ZmtpError::CommandBytes(4096))]
#[case::properties(b"\x04\x07\x05READY\x01", ZmtpError::Properties)]
#[case::no_type(b"\x04\x06\x05READY", ZmtpError::SocketType)]
fn invalid_ready_fails(#[case] input: &[u8], #[case] expected: ZmtpError) {
    let mut run = Run::new(&Security::Null);
    run.feed(&greeting()).sent();
    assert_eq!(run.feed(input).failure(), Some(expected));
    let expected_output: &[u8] =
        if expected == ZmtpError::SocketType { b"\x04\x1a\x05ERROR\x13Invalid socket type" } else { b"" };
    assert_eq!(run.sent(), expected_output);
    assert_eq!(run.session.next(READY, &Security::Null, &mut run.output), Err(expected));
    assert!(!run.session.is_ready());
}

#[rstest]
#[case::one(b"\x00\x02ab", &[message(&[b"ab"])])]
#[case::empty(b"\x01\0\0\0", &[message(&[b"", b""])])]
#[case::two(b"\x00\x01a\x00\x01b", &[message(&[b"a"]), message(&[b"b"])])]
#[case::longer_than_needed(b"\x01\x01a\x02\0\0\0\0\0\0\0\x01b", &[message(&[b"a", b"b"])])]
#[case::not_whole(b"\x01\x01a\x00\x02b", &[])]
#[case::others(b"\x04\x0b\x09SUBSCRIBEa\x00\x01a", &[Seen::Consumed(13), message(&[b"a"])])]
#[case::nameless(b"\x04\0", &[Seen::Failed(ZmtpError::Command)])]
#[case::flags(b"\x00\x01a\x05\0", &[message(&[b"a"]), Seen::Failed(ZmtpError::Flags(5))])]
#[case::long_frame(b"\x02\0\0\0\0\0\0\x04\xb1", &[Seen::Failed(ZmtpError::Oversize)])]
#[case::long_command(b"\x06\0\0\0\0\0\0\x04\x01", &[Seen::Failed(ZmtpError::CommandBytes(1025))])]
#[case::many_frames(b"\x01\0".repeat(223), &[Seen::Failed(ZmtpError::Oversize)])]
#[case::many_commands([b"\x01\0".as_slice(), &b"\x04\x05\x04PONG".repeat(143)].concat(), &[Seen::Failed(ZmtpError::Oversize)])]
fn messages_and_commands_are_read(#[case] input: impl AsRef<[u8]>, #[case] expected: &[Seen]) {
    assert_eq!(ready().feed(input.as_ref()).seen, expected);
    let mut trickling = ready();
    for byte in input.as_ref() {
        trickling.feed(&[*byte]);
    }
    assert_eq!(trickling.seen, expected);
}

#[test]
fn message_size_is_limited_by_headers() {
    let mut run = ready();
    run.feed(&[b"\x03\0\0\0\0\0\0\x04\xb0".as_slice(), &[0; 1200], b"\x02\0\0\0\0\0\0\x03\x0e"].concat());
    assert_eq!(run.failure(), None, "2,000 bytes");
    let mut run = ready();
    run.feed(&[b"\x03\0\0\0\0\0\0\x04\xb0".as_slice(), &[0; 1200], b"\x02\0\0\0\0\0\0\x03\x0f"].concat());
    assert_eq!(run.failure(), Some(ZmtpError::Oversize));
}

/// A PING within a message is answered at once, even if the message never ends.
#[test]
fn pings_within_a_message_are_answered() {
    let mut run = ready();
    assert_eq!(run.feed(PING).sent(), PONG);
    for byte in [b"\x01\x01a".as_slice(), PING, b"\x01\x01b", PING].concat() {
        run.feed(&[byte]);
    }
    assert_eq!(run.sent(), PONG.repeat(2));
    run.feed(b"\x00\x01c\x00\x00");
    assert_eq!(run.seen, [Seen::Consumed(PING.len()), message(&[b"a", b"b", b"c"]), message(&[b""])]);
    assert_eq!(run.sent(), b"");
}

fn frames() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let short = prop::collection::vec(any::<u8>(), 0..40);
    let long = prop::collection::vec(any::<u8>(), 250..260);
    prop::collection::vec(prop_oneof![short, long], 1..6)
}

/// The input of a whole connection with valid messages and commands.
fn valid_input() -> impl Strategy<Value = Vec<u8>> {
    let written = frames().prop_map(|frames| {
        let mut output = Vec::new();
        ready().session.write(&frames.iter().map(Vec::as_slice).collect::<Vec<_>>(), &mut output);
        output
    });
    let item = prop_oneof![written, Just(PING.to_vec()), Just(b"\x04\x05\x04PONG".to_vec())];
    let traffic = prop::collection::vec(item, 0..8).prop_map(|items| items.concat());
    traffic.prop_map(|traffic| [greeting().as_slice(), READY, &traffic].concat())
}

proptest! {
    #[test]
    fn written_messages_are_read_back(frames in frames()) {
        let mut run = ready();
        let borrowed: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
        run.session.write(&borrowed, &mut run.output);
        let sent = run.sent();
        let mut rest = sent.as_slice();
        for (index, frame) in frames.iter().enumerate() {
            let (header, body, after) = split(rest);
            prop_assert_eq!((header.more, header.command, body), (index + 1 < frames.len(), false, frame.as_slice()));
            prop_assert_eq!(header.size, if frame.len() < 256 { 2 } else { 9 });
            rest = after;
        }
        prop_assert!(rest.is_empty());
        prop_assert_eq!(run.feed(&sent).messages(), [frames]);
    }

    #[test]
    fn pieces_of_valid_input_do_not_matter(
        input in valid_input(),
        cuts in prop::collection::vec(any::<Index>(), 0..9),
    ) {
        let cuts = cuts.iter().map(|cut| cut.index(input.len())).collect();
        pieces_do_not_matter(&Security::Null, &input, cuts);
        prop_assert_eq!(Run::in_pieces(&Security::Null, &input, Vec::new()).failure(), None);
    }

    #[test]
    fn pieces_of_modified_input_do_not_matter(
        mut input in valid_input(),
        changes in prop::collection::vec((any::<Index>(), any::<u8>()), 0..4),
        tail in prop::collection::vec(prop_oneof![0..8_u8, any::<u8>()], 0..50),
        cuts in prop::collection::vec(any::<Index>(), 0..9),
    ) {
        input.extend(tail);
        for (at, byte) in changes {
            let at = at.index(input.len());
            input[at] = byte;
        }
        let cuts = cuts.iter().map(|cut| cut.index(input.len())).collect();
        pieces_do_not_matter(&Security::Null, &input, cuts);
    }

    #[test]
    fn pieces_of_random_input_do_not_matter(
        input in prop::collection::vec(prop_oneof![0..8_u8, any::<u8>()], 1..200),
        cuts in prop::collection::vec(any::<Index>(), 0..9),
    ) {
        let input = [greeting().as_slice(), READY, &input].concat();
        let cuts = cuts.iter().map(|cut| cut.index(input.len())).collect();
        pieces_do_not_matter(&Security::Null, &input, cuts);
    }
}

#[test]
fn libzmqs_longest_command_fits() {
    let initiate = 9 + 96 + 8 + 16 + 128;
    let properties = b"\x0bSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\xff".len() + 255;
    assert!(initiate + properties < command::MAX_COMMAND_BYTES);
}
