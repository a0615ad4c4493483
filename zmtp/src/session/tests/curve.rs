mod hostile;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::curve::ServerKeys;
use crate::curve::client::{Client, public};
use crate::greeting;

const SERVER: [u8; 32] = [11; 32];
const CLIENT: [u8; 32] = [22; 32];

fn security() -> Security {
    Security::Curve(ServerKeys::new(SERVER, public(SERVER)))
}

fn client() -> Client {
    Client::new(public(SERVER), CLIENT)
}

fn greeting() -> Vec<u8> {
    [greeting::first_part(&greeting::CURVE), greeting::second_part(&greeting::CURVE)].concat()
}

/// Runs the handshake up to the WELCOME, which is returned.
fn welcomed(run: &mut Run<'_>, client: &mut Client) -> Vec<u8> {
    run.feed(&greeting()).sent();
    let hello = client.hello();
    run.feed(&hello).sent()
}

fn ready<'a>(security: &'a Security, client: &mut Client) -> Run<'a> {
    let mut run = Run::new(security);
    let welcome = welcomed(&mut run, client);
    let initiate = client.initiate(&welcome);
    let sent = run.feed(&initiate).sent();
    assert_eq!(
        run.seen,
        [Seen::Consumed(64), Seen::Consumed(202), Seen::KeyVerified(public(CLIENT)), Seen::Ready]
    );
    assert_eq!(run.session.key(), Some(&public(CLIENT)));
    let (header, body, rest) = split(&sent);
    assert!(header.command && rest.is_empty());
    assert_eq!(client.read(body), b"\x0bSocket-Type\0\0\0\x06ROUTER");
    run.seen.clear();
    run
}

#[test]
fn messages_and_pings_are_exchanged() {
    let security = security();
    let mut client = client();
    let mut run = ready(&security, &mut client);
    let long = vec![9; 300];
    let parts = [(1, b"a".as_slice()), (2, b"\x04PING\0\x01hi"), (1, &long), (1, b""), (0, &long)];
    let input: Vec<u8> = parts.iter().flat_map(|(flags, body)| client.message(*flags, body)).collect();
    run.feed(&input);
    assert_eq!(run.messages(), [[b"a".to_vec(), long.clone(), Vec::new(), long.clone()]]);
    let sent = run.sent();
    let (_, pong, rest) = split(&sent);
    assert_eq!((client.read(pong), rest.len()), (b"\x02\x04PONGhi".to_vec(), 0));

    run.session.write(&[b"", &long], &mut run.output);
    let sent = run.sent();
    let (first, empty, rest) = split(&sent);
    let (second, body, rest) = split(rest);
    assert!(!first.more && !second.more && rest.is_empty(), "the MORE flag is inside the box, as in libzmq");
    assert_eq!((client.read(empty), client.read(body)), (vec![1], [b"\0".as_slice(), &long].concat()));
}

#[test]
fn messages_wait_for_admission() {
    let security = security();
    let mut client = client();
    let mut run = Run::new(&security);
    let welcome = welcomed(&mut run, &mut client);
    let mut session = run.session;
    let initiate = client.initiate(&welcome);
    let early = [initiate.clone(), client.message(0, b"early")].concat();
    let mut output = Vec::new();
    let proved = SessionEvent::KeyVerified { consumed: initiate.len(), key: public(CLIENT) };
    assert_eq!(session.next(&early, &security, &mut output), Ok(proved));
    let rest = &early[initiate.len()..];
    assert_eq!(session.next(rest, &security, &mut output), Ok(SessionEvent::Incomplete));
    assert!(output.is_empty() && !session.is_ready());
    session.admit(true, &mut output);
    session.admit(false, &mut Vec::new());
    assert_eq!(session.next(rest, &security, &mut output), Ok(SessionEvent::Ready { consumed: 0 }));
    assert!(
        matches!(session.next(rest, &security, &mut output), Ok(SessionEvent::Message { consumed, .. }) if consumed == rest.len())
    );
}

#[test]
fn refused_key_gets_an_error() {
    let security = security();
    let mut client = client();
    let mut run = Run::new(&security);
    let welcome = welcomed(&mut run, &mut client);
    let mut session = run.session;
    let initiate = client.initiate(&welcome);
    let mut output = Vec::new();
    session.next(&initiate, &security, &mut output).unwrap();
    session.admit(false, &mut output);
    assert_eq!(output, b"\x04\x0a\x05ERROR\x03400");
    session.admit(true, &mut output);
    assert_eq!(session.next(b"", &security, &mut output), Err(ZmtpError::Refused));
    assert_eq!(output.len(), 12);
}

#[test]
fn number_of_frames_is_limited() {
    let security = security();
    let mut client = client();
    let mut run = ready(&security, &mut client);
    let input: Vec<u8> = (0..223).flat_map(|_| client.message(1, b"")).collect();
    assert_eq!(run.feed(&input).failure(), Some(ZmtpError::Oversize));
    assert_eq!(run.seen.len(), 223);
}

#[test]
fn memory_of_long_messages_is_released() {
    let security = security();
    let mut client = client();
    let mut run = ready(&security, &mut client);
    run.session.limits = MessageLimits { max_message_bytes: 1 << 20, max_frame_bytes: 1 << 20 };
    let input = client.message(0, &[1; 200_000]);
    let step = run.session.next(&input, &security, &mut run.output);
    assert!(matches!(step, Ok(SessionEvent::Message { message, .. }) if message.bytes() == 200_000));
    run.session.next(b"", &security, &mut run.output).unwrap();
    assert!(run.session.held_bytes() <= 16 << 10);
}

/// Returns the input of a whole connection with these messages.
fn recorded(security: &Security, messages: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut client = client();
    let mut run = Run::new(security);
    let welcome = welcomed(&mut run, &mut client);
    let mut again = Client::new(public(SERVER), CLIENT);
    let mut input = [greeting(), again.hello(), again.initiate(&welcome)].concat();
    for (flags, body) in messages {
        input.extend(again.message(*flags, body));
    }
    input
}

fn messages() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
    let body =
        prop_oneof![prop::collection::vec(any::<u8>(), 0..20), prop::collection::vec(any::<u8>(), 220..260)];
    let ping = Just((2, b"\x04PING\0\0x".to_vec()));
    prop::collection::vec(prop_oneof![3 => (0..=1_u8, body), 1 => ping], 0..6)
}

proptest! {
    // Each case needs several key agreements, which are slow.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pieces_do_not_matter_under_curve(
        messages in messages(),
        cuts in prop::collection::vec(any::<Index>(), 0..9),
    ) {
        let security = security();
        let input = recorded(&security, &messages);
        let cuts = cuts.iter().map(|cut| cut.index(input.len())).collect();
        pieces_do_not_matter(&security, &input, cuts);
        prop_assert_eq!(Run::in_pieces(&security, &input, Vec::new()).failure(), None);
    }

    #[test]
    fn modified_bytes_never_become_messages(messages in messages(), at in any::<Index>(), bit in 0..8_u8) {
        let security = security();
        let mut input = recorded(&security, &messages);
        let whole = Run::in_pieces(&security, &input, Vec::new()).messages();
        let at = at.index(input.len());
        input[at] ^= 1 << bit;
        let changed = Run::in_pieces(&security, &input, Vec::new()).messages();
        prop_assert!(whole.starts_with(&changed));
    }
}
