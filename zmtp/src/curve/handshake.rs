//! The CURVE handshake: HELLO, WELCOME and INITIATE.

use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::boxes::BoxKey;
use super::codec::CurveCodec;
use super::random::HandshakeRandom;
use super::{ServerKeys, nonce};
use crate::{ZmtpError, frame, properties};

/// The name of a client's first command.
pub(crate) const HELLO: &[u8] = b"\x05HELLO";
/// The name of a client's second command.
pub(crate) const INITIATE: &[u8] = b"\x08INITIATE";

const WELCOME: &[u8] = b"\x07WELCOME";
const VERSION: [u8; 2] = [1, 0];
const PADDING_BYTES: usize = 72;
const HELLO_BOX_BYTES: usize = 80;
const COOKIE_BOX_BYTES: usize = 80;
const VOUCH_BOX_BYTES: usize = 80;

/// Answers a HELLO, whose `fields` follow its name. The state of the handshake is in the cookie, which the client returns.
/// Returns the key that opens the cookie.
///
/// # Errors
///
/// [`ZmtpError::Command`], [`ZmtpError::Box`] or [`ZmtpError::Proof`] if the client has another server's key, or is not a
/// CURVE client.
pub(crate) fn welcome(
    server: &ServerKeys,
    fields: &[u8],
    random: &HandshakeRandom,
    output: &mut Vec<u8>,
) -> Result<BoxKey, ZmtpError> {
    let hello = Hello::read(fields).ok_or(ZmtpError::Command)?;
    let key = BoxKey::agreed(&server.secret, hello.client)?;
    let zeros = key.open(&nonce::counted(nonce::HELLO, hello.counter), hello.sealed)?;
    if zeros.iter().any(|byte| *byte != 0) {
        return Err(ZmtpError::Proof);
    }

    let secret = StaticSecret::from(*random.secret);
    let cookie_key = BoxKey::new(&random.cookie_key);
    let inner = Zeroizing::new([hello.client.as_slice(), random.secret.as_slice()].concat());
    let mut plain = [PublicKey::from(&secret).as_bytes().as_slice(), &random.cookie_nonce].concat();
    cookie_key.seal(&nonce::random(nonce::COOKIE, &random.cookie_nonce), &inner, &mut plain);

    let mut sealed = Vec::new();
    key.seal(&nonce::random(nonce::WELCOME, &random.welcome_nonce), &plain, &mut sealed);
    frame::push_command(&[WELCOME, &random.welcome_nonce, &sealed], output);
    Ok(cookie_key)
}

/// Checks an INITIATE, whose `fields` follow its name. It proves that the client has our cookie, its short-term key and
/// its long-term key.
///
/// # Errors
///
/// Those of [`welcome`], and those of the client's properties.
pub(crate) fn initiate(
    server: &ServerKeys,
    cookie_key: &BoxKey,
    fields: &[u8],
) -> Result<CurveCodec, ZmtpError> {
    let initiate = Initiate::read(fields).ok_or(ZmtpError::Command)?;
    let cookie = cookie_key.open(&nonce::random(nonce::COOKIE, initiate.cookie_nonce), initiate.cookie)?;
    let (client, secret) = cookie.split_first_chunk().ok_or(ZmtpError::Box)?;
    let secret = secret.first_chunk::<32>().ok_or(ZmtpError::Box)?;
    let secret = StaticSecret::from(*secret);

    let key = BoxKey::agreed(&secret, client)?;
    let plain = key.open(&nonce::counted(nonce::INITIATE, initiate.counter), initiate.sealed)?;
    let identity = Identity::read(&plain).ok_or(ZmtpError::Command)?;
    let vouch_key = BoxKey::agreed(&secret, identity.key)?;
    let vouch = vouch_key.open(&nonce::random(nonce::VOUCH, identity.vouch_nonce), identity.vouch)?;
    if vouch.as_slice() != [client.as_slice(), &server.public].concat() {
        return Err(ZmtpError::Proof);
    }
    properties::check(identity.properties)?;
    Ok(CurveCodec::new(key, *identity.key, u64::from_be_bytes(*initiate.counter)))
}

struct Hello<'a> {
    client: &'a [u8; 32],
    counter: &'a [u8; 8],
    sealed: &'a [u8; HELLO_BOX_BYTES],
}

impl<'a> Hello<'a> {
    fn read(fields: &'a [u8]) -> Option<Self> {
        let rest = fields.strip_prefix(&VERSION)?;
        let (_, rest) = rest.split_at_checked(PADDING_BYTES)?;
        let (client, rest) = rest.split_first_chunk()?;
        let (counter, rest) = rest.split_first_chunk()?;
        Some(Self { client, counter, sealed: rest.try_into().ok()? })
    }
}

struct Initiate<'a> {
    cookie_nonce: &'a [u8; 16],
    cookie: &'a [u8; COOKIE_BOX_BYTES],
    counter: &'a [u8; 8],
    sealed: &'a [u8],
}

impl<'a> Initiate<'a> {
    fn read(fields: &'a [u8]) -> Option<Self> {
        let (cookie_nonce, rest) = fields.split_first_chunk()?;
        let (cookie, rest) = rest.split_first_chunk()?;
        let (counter, sealed) = rest.split_first_chunk()?;
        Some(Self { cookie_nonce, cookie, counter, sealed })
    }
}

/// The content of an INITIATE's box.
struct Identity<'a> {
    key: &'a [u8; 32],
    vouch_nonce: &'a [u8; 16],
    vouch: &'a [u8; VOUCH_BOX_BYTES],
    properties: &'a [u8],
}

impl<'a> Identity<'a> {
    fn read(plain: &'a [u8]) -> Option<Self> {
        let (key, rest) = plain.split_first_chunk()?;
        let (vouch_nonce, rest) = rest.split_first_chunk()?;
        let (vouch, properties) = rest.split_first_chunk()?;
        Some(Self { key, vouch_nonce, vouch, properties })
    }
}
