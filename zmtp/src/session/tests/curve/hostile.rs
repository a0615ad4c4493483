use rstest::rstest;

use super::*;

fn set(at: usize, byte: u8) -> impl Fn(&mut Vec<u8>) {
    move |hello| hello[at] = byte
}

#[rstest]
#[case::version(set(8, 2), ZmtpError::Command)]
#[case::low_order_key(|hello: &mut Vec<u8>| hello[82..114].fill(0), ZmtpError::Proof)]
#[case::other_key(set(82, 1), ZmtpError::Box)]
#[case::counter(set(121, 99), ZmtpError::Box)]
#[case::changed(set(201, 0), ZmtpError::Box)]
#[case::name(set(3, b'h'), ZmtpError::Unexpected)]
#[case::short(|hello: &mut Vec<u8>| { hello[1] -= 1; hello.pop(); }, ZmtpError::Command)]
#[case::long(|hello: &mut Vec<u8>| { hello[1] += 1; hello.push(0); }, ZmtpError::Command)]
#[case::no_command(set(0, 0), ZmtpError::Unexpected)]
fn invalid_hellos_fail(#[case] change: impl Fn(&mut Vec<u8>), #[case] expected: ZmtpError) {
    let security = security();
    let mut hello = client().hello();
    change(&mut hello);
    let mut run = Run::new(&security);
    run.feed(&greeting()).sent();
    assert_eq!(run.feed(&hello).failure(), Some(expected));
    assert_eq!(run.sent(), b"");
}

#[rstest]
#[case::other_server(|client: &mut Client| client.server = public([1; 32]), ZmtpError::Proof)]
#[case::other_secret(|client: &mut Client| client.secret = [1; 32], ZmtpError::Box)]
#[case::low_order_key(|client: &mut Client| client.public = [0; 32], ZmtpError::Proof)]
#[case::properties(|client: &mut Client| client.properties = vec![1], ZmtpError::Properties)]
#[case::push(|client: &mut Client| client.properties = b"\x0bSocket-Type\0\0\0\x04PUSH".to_vec(), ZmtpError::SocketType)]
fn invalid_initiates_fail(#[case] change: impl Fn(&mut Client), #[case] expected: ZmtpError) {
    let security = security();
    let mut client = client();
    let mut run = Run::new(&security);
    let welcome = welcomed(&mut run, &mut client);
    let mut other = Client::new(public(SERVER), CLIENT);
    other.hello();
    change(&mut other);
    let initiate = other.initiate_for(&welcome, public(SERVER));
    assert_eq!(run.feed(&initiate).failure(), Some(expected));
    assert_eq!(run.session.key(), None);
    let expected_output: &[u8] =
        if expected == ZmtpError::SocketType { b"\x04\x1a\x05ERROR\x13Invalid socket type" } else { b"" };
    assert_eq!(run.sent(), expected_output);
}

#[test]
fn cookie_of_another_connection_fails() {
    let security = security();
    let mut client = client();
    let mut other = Run::new(&security);
    other.session.random = || Ok(HandshakeRandom::fixed(8));
    let foreign = welcomed(&mut other, &mut client);
    let mut run = Run::new(&security);
    welcomed(&mut run, &mut client);
    assert_eq!(run.feed(&client.initiate(&foreign)).failure(), Some(ZmtpError::Box));
}

/// `make` assembles the input from the encrypted messages "a", "b" and "c".
#[rstest]
#[case::again(|m: &[Vec<u8>; 3]| [m[0].clone(), m[0].clone()].concat(), ZmtpError::Nonce)]
#[case::reversed(|m: &[Vec<u8>; 3]| [m[1].clone(), m[0].clone()].concat(), ZmtpError::Nonce)]
#[case::changed(|m: &[Vec<u8>; 3]| { let mut last = m[2].clone(); *last.last_mut().unwrap() ^= 1; last }, ZmtpError::Box)]
#[case::counter_changed(|m: &[Vec<u8>; 3]| { let mut first = m[0].clone(); first[17] += 1; first }, ZmtpError::Box)]
#[case::plain(|_: &[Vec<u8>; 3]| [b"\0\x28".as_slice(), &[b'x'; 40]].concat(), ZmtpError::Unexpected)]
#[case::plain_and_short(|_: &[Vec<u8>; 3]| b"\0\x05hello".to_vec(), ZmtpError::Command)]
#[case::more_outside(|m: &[Vec<u8>; 3]| { let mut first = m[0].clone(); first[0] = 1; first }, ZmtpError::Unexpected)]
#[case::oversize(|_: &[Vec<u8>; 3]| b"\x02\0\0\0\0\0\0\x04\xd2".to_vec(), ZmtpError::Oversize)]
fn invalid_messages_fail(#[case] make: impl Fn(&[Vec<u8>; 3]) -> Vec<u8>, #[case] expected: ZmtpError) {
    let security = security();
    let mut client = client();
    let mut run = ready(&security, &mut client);
    let messages = [b"a", b"b", b"c"].map(|body| client.message(0, body));
    assert_eq!(run.feed(&make(&messages)).failure(), Some(expected));
}

#[test]
fn hello_box_must_hold_zeros() {
    let security = security();
    let mut run = Run::new(&security);
    run.feed(&greeting());
    assert_eq!(run.feed(&client().hello_with(&[1; 64])).failure(), Some(ZmtpError::Proof));
}

#[rstest]
#[case::long(&[0; 1025], ZmtpError::CommandBytes(1025))]
#[case::nameless(b"", ZmtpError::Command)]
#[case::ping(b"\x04PING", ZmtpError::Command)]
fn invalid_commands_fail(#[case] body: &[u8], #[case] expected: ZmtpError) {
    let security = security();
    let mut client = client();
    let mut run = ready(&security, &mut client);
    assert_eq!(run.feed(&client.message(2, body)).failure(), Some(expected));
}
