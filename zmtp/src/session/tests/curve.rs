use proptest::prelude::*;
use proptest::sample::Index;
use rstest::rstest;

use super::*;
use crate::curve::Server;
use crate::curve::client::{Client, public};

const SERVER: [u8; 32] = [11; 32];
const CLIENT: [u8; 32] = [22; 32];

fn security() -> Security {
    Security::Curve(Server::new(SERVER, public(SERVER)))
}

fn client() -> Client {
    Client::new(public(SERVER), CLIENT)
}

fn greeting() -> Vec<u8> {
    [greeting::first(&greeting::CURVE), greeting::rest(&greeting::CURVE)].concat()
}

/// Up to the WELCOME, which is returned.
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
        [Seen::Consumed(64), Seen::Consumed(202), Seen::Proved(public(CLIENT)), Seen::Ready]
    );
    assert_eq!(run.session.key(), Some(&public(CLIENT)));
    let (header, body, rest) = split(&sent);
    assert!(header.command && rest.is_empty());
    assert_eq!(client.read(body), b"\x0bSocket-Type\0\0\0\x06ROUTER");
    run.seen.clear();
    run
}

#[test]
fn messages_and_pings_both_ways() {
    let (security, mut client) = (security(), client());
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
    assert!(!first.more && !second.more && rest.is_empty(), "as libzmq does: only the box tells");
    assert_eq!((client.read(empty), client.read(body)), (vec![1], [b"\0".as_slice(), &long].concat()));
}

#[test]
fn nothing_happens_until_the_key_is_admitted() {
    let (security, mut client) = (security(), client());
    let mut run = Run::new(&security);
    let welcome = welcomed(&mut run, &mut client);
    let (mut session, initiate) = (run.session, client.initiate(&welcome));
    let early = [initiate.clone(), client.message(0, b"early")].concat();
    let mut output = Vec::new();
    let proved = Step::Proved { consumed: initiate.len(), key: public(CLIENT) };
    assert_eq!(session.next(&early, &security, &mut output), Ok(proved));
    let rest = &early[initiate.len()..];
    assert_eq!(session.next(rest, &security, &mut output), Ok(Step::Incomplete));
    assert!(output.is_empty() && !session.is_ready());
    session.admit(true, &mut output);
    session.admit(false, &mut Vec::new());
    assert_eq!(session.next(rest, &security, &mut output), Ok(Step::Ready { consumed: 0 }));
    assert!(
        matches!(session.next(rest, &security, &mut output), Ok(Step::Message { consumed, .. }) if consumed == rest.len())
    );
}

#[test]
fn a_refused_key_is_told_and_stays_refused() {
    let (security, mut client) = (security(), client());
    let mut run = Run::new(&security);
    let welcome = welcomed(&mut run, &mut client);
    let (mut session, initiate) = (run.session, client.initiate(&welcome));
    let mut output = Vec::new();
    session.next(&initiate, &security, &mut output).unwrap();
    session.admit(false, &mut output);
    assert_eq!(output, b"\x04\x0a\x05ERROR\x03400");
    session.admit(true, &mut output);
    assert_eq!(session.next(b"", &security, &mut output), Err(Error::Refused));
    assert_eq!(output.len(), 12);
}

fn set(at: usize, byte: u8) -> impl Fn(&mut Vec<u8>) {
    move |hello| hello[at] = byte
}

#[rstest]
#[case::version(set(8, 2), Error::Command)]
#[case::low_order_key(|hello: &mut Vec<u8>| hello[82..114].fill(0), Error::Proof)]
#[case::other_key(set(82, 1), Error::Box)]
#[case::counter(set(121, 99), Error::Box)]
#[case::changed(set(201, 0), Error::Box)]
#[case::name(set(3, b'h'), Error::Unexpected)]
#[case::short(|hello: &mut Vec<u8>| { hello[1] -= 1; hello.pop(); }, Error::Command)]
#[case::long(|hello: &mut Vec<u8>| { hello[1] += 1; hello.push(0); }, Error::Command)]
#[case::no_command(set(0, 0), Error::Unexpected)]
fn hostile_hellos(#[case] change: impl Fn(&mut Vec<u8>), #[case] expected: Error) {
    let (security, mut hello) = (security(), client().hello());
    change(&mut hello);
    let mut run = Run::new(&security);
    run.feed(&greeting()).sent();
    assert_eq!(run.feed(&hello).failure(), Some(expected));
    assert_eq!(run.sent(), b"");
}

#[rstest]
#[case::other_server(|client: &mut Client| client.server = public([1; 32]), Error::Proof)]
#[case::other_secret(|client: &mut Client| client.secret = [1; 32], Error::Box)]
#[case::low_order_key(|client: &mut Client| client.public = [0; 32], Error::Proof)]
#[case::properties(|client: &mut Client| client.properties = vec![1], Error::Properties)]
#[case::push(|client: &mut Client| client.properties = b"\x0bSocket-Type\0\0\0\x04PUSH".to_vec(), Error::SocketType)]
fn hostile_initiates(#[case] change: impl Fn(&mut Client), #[case] expected: Error) {
    let (security, mut client) = (security(), client());
    let mut run = Run::new(&security);
    let welcome = welcomed(&mut run, &mut client);
    let mut other = Client::new(public(SERVER), CLIENT);
    other.hello();
    change(&mut other);
    let initiate = other.initiate_for(&welcome, public(SERVER));
    assert_eq!(run.feed(&initiate).failure(), Some(expected));
    assert_eq!(run.session.key(), None);
    let told: &[u8] =
        if expected == Error::SocketType { b"\x04\x1a\x05ERROR\x13Invalid socket type" } else { b"" };
    assert_eq!(run.sent(), told);
}

#[test]
fn a_cookie_is_for_one_connection() {
    let (security, mut client) = (security(), client());
    let mut other = Run::new(&security);
    other.session.random = || Ok(Random::fixed(8));
    let foreign = welcomed(&mut other, &mut client);
    let mut run = Run::new(&security);
    welcomed(&mut run, &mut client);
    assert_eq!(run.feed(&client.initiate(&foreign)).failure(), Some(Error::Box));
}

/// From the messages "a", "b", "c" of `client`, after a handshake.
#[rstest]
#[case::again(|m: &[Vec<u8>; 3]| [m[0].clone(), m[0].clone()].concat(), Error::Nonce)]
#[case::reversed(|m: &[Vec<u8>; 3]| [m[1].clone(), m[0].clone()].concat(), Error::Nonce)]
#[case::changed(|m: &[Vec<u8>; 3]| { let mut last = m[2].clone(); *last.last_mut().unwrap() ^= 1; last }, Error::Box)]
#[case::counter_changed(|m: &[Vec<u8>; 3]| { let mut first = m[0].clone(); first[17] += 1; first }, Error::Box)]
#[case::plain(|_: &[Vec<u8>; 3]| [b"\0\x28".as_slice(), &[b'x'; 40]].concat(), Error::Unexpected)]
#[case::plain_and_short(|_: &[Vec<u8>; 3]| b"\0\x05hello".to_vec(), Error::Command)]
#[case::more_outside(|m: &[Vec<u8>; 3]| { let mut first = m[0].clone(); first[0] = 1; first }, Error::Unexpected)]
#[case::oversize(|_: &[Vec<u8>; 3]| b"\x02\0\0\0\0\0\0\x04\xd2".to_vec(), Error::Oversize)]
fn hostile_traffic(#[case] make: impl Fn(&[Vec<u8>; 3]) -> Vec<u8>, #[case] expected: Error) {
    let (security, mut client) = (security(), client());
    let mut run = ready(&security, &mut client);
    let messages = [b"a", b"b", b"c"].map(|body| client.message(0, body));
    assert_eq!(run.feed(&make(&messages)).failure(), Some(expected));
}

#[test]
fn a_message_in_many_frames_is_bounded() {
    let (security, mut client) = (security(), client());
    let mut run = ready(&security, &mut client);
    let input: Vec<u8> = (0..223).flat_map(|_| client.message(1, b"")).collect();
    assert_eq!(run.feed(&input).failure(), Some(Error::Oversize));
    assert_eq!(run.seen.len(), 223);
}

#[test]
fn long_messages_leave_no_memory_behind() {
    let (security, mut client) = (security(), client());
    let mut run = ready(&security, &mut client);
    run.session.bounds = Bounds { message_bytes: 1 << 20, frame_bytes: 1 << 20 };
    let input = client.message(0, &[1; 200_000]);
    let step = run.session.next(&input, &security, &mut run.output);
    assert!(matches!(step, Ok(Step::Message { message, .. }) if message.bytes() == 200_000));
    run.session.next(b"", &security, &mut run.output).unwrap();
    assert!(run.session.channel.unwrap().kept() <= 16 << 10);
}

/// A whole connection with these messages, as the client sends it.
fn recorded(security: &Security, messages: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let (mut client, mut run) = (client(), Run::new(security));
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
    // Each case is some key agreements.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn cuts_change_nothing_under_curve(
        messages in messages(),
        cuts in prop::collection::vec(any::<Index>(), 0..9),
    ) {
        let security = security();
        let input = recorded(&security, &messages);
        let cuts = cuts.iter().map(|cut| cut.index(input.len())).collect();
        cuts_change_nothing(&security, &input, cuts);
        prop_assert_eq!(Run::cut(&security, &input, Vec::new()).failure(), None);
    }

    #[test]
    fn what_is_changed_on_its_way_is_no_message(messages in messages(), at in any::<Index>(), bit in 0..8_u8) {
        let security = security();
        let mut input = recorded(&security, &messages);
        let whole = Run::cut(&security, &input, Vec::new()).messages();
        let at = at.index(input.len());
        input[at] ^= 1 << bit;
        let changed = Run::cut(&security, &input, Vec::new()).messages();
        prop_assert!(whole.starts_with(&changed));
    }
}
