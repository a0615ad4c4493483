//! A client for tests, which can also send what libzmq never would.

use x25519_dalek::{PublicKey, StaticSecret};

use super::boxes::BoxKey;
use super::nonce;
use crate::frame;

pub(crate) struct Client {
    pub(crate) server: [u8; 32],
    /// The long-term secret key.
    pub(crate) secret: [u8; 32],
    /// The long-term public key.
    pub(crate) public: [u8; 32],
    pub(crate) properties: Vec<u8>,
    short: StaticSecret,
    /// The key agreed with the server's short-term key.
    key: Option<BoxKey>,
    counter: u64,
}

pub(crate) fn public(secret: [u8; 32]) -> [u8; 32] {
    PublicKey::from(&StaticSecret::from(secret)).to_bytes()
}

impl Client {
    pub(crate) fn new(server: [u8; 32], secret: [u8; 32]) -> Self {
        Self {
            server,
            secret,
            public: public(secret),
            properties: b"\x0bSocket-Type\0\0\0\x03REQ".to_vec(),
            short: StaticSecret::from([77; 32]),
            key: None,
            counter: 0,
        }
    }

    fn next_counter(&mut self) -> [u8; 8] {
        self.counter += 1;
        self.counter.to_be_bytes()
    }

    pub(crate) fn hello(&mut self) -> Vec<u8> {
        self.hello_with(&[0; 64])
    }

    /// Like `hello`, with other bytes in the box.
    pub(crate) fn hello_with(&mut self, zeros: &[u8; 64]) -> Vec<u8> {
        let counter = self.next_counter();
        let mut sealed = Vec::new();
        let key = BoxKey::agreed(&self.short, &self.server).unwrap();
        key.seal(&nonce::counted(nonce::HELLO, &counter), zeros, &mut sealed);
        let short = PublicKey::from(&self.short).to_bytes();
        command(&[b"\x05HELLO\x01\0", &[0; 72], &short, &counter, &sealed])
    }

    /// Answers the frame of a WELCOME.
    pub(crate) fn initiate(&mut self, welcome: &[u8]) -> Vec<u8> {
        self.initiate_for(welcome, self.server)
    }

    /// Like `initiate`, but the vouch names `self.server` and not `server`.
    pub(crate) fn initiate_for(&mut self, welcome: &[u8], server: [u8; 32]) -> Vec<u8> {
        let fields = welcome.strip_prefix(b"\x04\xa8\x07WELCOME").unwrap();
        let (random, sealed) = fields.split_first_chunk().unwrap();
        let hello_key = BoxKey::agreed(&self.short, &server).unwrap();
        let plain = hello_key.open(&nonce::random(nonce::WELCOME, random), sealed).unwrap();
        let (theirs, cookie) = plain.split_first_chunk().unwrap();

        let mut vouch = Vec::new();
        let short = PublicKey::from(&self.short).to_bytes();
        if let Ok(key) = BoxKey::agreed(&StaticSecret::from(self.secret), theirs) {
            let vouched = [short, self.server].concat();
            key.seal(&nonce::random(nonce::VOUCH, &[5; 16]), &vouched, &mut vouch);
        }
        let identity = [self.public.as_slice(), &[5; 16], &vouch, &self.properties].concat();
        let counter = self.next_counter();
        let mut sealed = Vec::new();
        let key = BoxKey::agreed(&self.short, theirs).unwrap();
        key.seal(&nonce::counted(nonce::INITIATE, &counter), &identity, &mut sealed);
        self.key = Some(key);
        command(&[b"\x08INITIATE", cookie, &counter, &sealed])
    }

    /// Makes a MESSAGE. Flag 1 says that more frames follow, flag 2 that it is a command.
    pub(crate) fn message(&mut self, flags: u8, body: &[u8]) -> Vec<u8> {
        let counter = self.next_counter();
        let mut sealed = Vec::new();
        let plain = [&[flags], body].concat();
        let key = self.key.as_ref().unwrap();
        key.seal(&nonce::counted(nonce::MESSAGE_C, &counter), &plain, &mut sealed);
        let framed = [b"\x07MESSAGE".as_slice(), &counter, &sealed].concat();
        [frame::header(false, framed.len()).to_vec(), framed].concat()
    }

    /// Decrypts the body of a READY or a MESSAGE.
    pub(crate) fn read(&self, body: &[u8]) -> Vec<u8> {
        let (prefix, rest) = match body.strip_prefix(b"\x05READY") {
            Some(rest) => (nonce::READY, rest),
            None => (nonce::MESSAGE_S, body.strip_prefix(b"\x07MESSAGE").unwrap()),
        };
        let (counter, sealed) = rest.split_first_chunk().unwrap();
        self.key.as_ref().unwrap().open(&nonce::counted(prefix, counter), sealed).unwrap().to_vec()
    }
}

fn command(parts: &[&[u8]]) -> Vec<u8> {
    let mut output = Vec::new();
    frame::push_command(parts, &mut output);
    output
}
