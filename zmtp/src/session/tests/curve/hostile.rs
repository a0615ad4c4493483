use rstest::rstest;

use super::*;

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
fn a_hello_has_nothing_but_zeros_in_its_box() {
    let security = security();
    let mut run = Run::new(&security);
    run.feed(&greeting());
    assert_eq!(run.feed(&client().hello_with(&[1; 64])).failure(), Some(Error::Proof));
}

#[rstest]
#[case::long(&[0; 1025], Error::CommandBytes(1025))]
#[case::nameless(b"", Error::Command)]
#[case::ping(b"\x04PING", Error::Command)]
fn hostile_commands(#[case] body: &[u8], #[case] expected: Error) {
    let (security, mut client) = (security(), client());
    let mut run = ready(&security, &mut client);
    assert_eq!(run.feed(&client.message(2, body)).failure(), Some(expected));
}
