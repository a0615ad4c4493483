//! CURVE keys, which authenticate and encrypt a connection. Keys are written in Z85, 40 characters each
//! (<https://rfc.zeromq.org/spec/32/>); CURVE itself is <https://rfc.zeromq.org/spec/26/>.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Maximum size of a key file, which has two lines of 40 characters; larger files are rejected.
const MAX_FILE_BYTES: u64 = 1024;

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A text is not a key.
    #[error("this is not a CURVE key: a key is 40 characters of Z85")]
    Malformed,
    /// A file cannot be read or written.
    #[error("cannot {doing} the key file {}: {source}", file.display())]
    Io {
        /// The operation.
        doing: &'static str,
        /// The file.
        file: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// A file does not have the expected content.
    #[error("{} does not hold {wanted}; `trackyard keys new FILE` writes FILE with both keys and FILE.pub", file.display())]
    Content {
        /// The file.
        file: PathBuf,
        /// The expected content.
        wanted: &'static str,
    },
    /// libzmq has no CURVE.
    #[error("cannot make a key: {0}; is libzmq built with libsodium?")]
    NoCurve(#[from] zmq::Error),
}

/// A public key. Its owner proves to have the matching secret key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(String);

impl PublicKey {
    /// Reads a file that holds one public key.
    ///
    /// # Errors
    /// If the file cannot be read, or has other content.
    pub fn read(file: &Path) -> Result<Self, Error> {
        let wanted = || Error::Content { file: file.to_owned(), wanted: "one public key" };
        let text = read(file)?;
        text.trim().parse().map_err(|_| wanted())
    }

    /// Returns the key with these 32 bytes, the form in which libzmq reports a key.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        zmq::z85_encode(bytes).ok().filter(|text| is_key(text)).map(Self)
    }

    /// Returns the key in Z85.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PublicKey {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        if is_key(text) { Ok(Self(text.to_owned())) } else { Err(Error::Malformed) }
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns whether `text` is a key in Z85. libzmq also decodes other texts, so that two texts could be one key: only the
/// canonical text is accepted.
fn is_key(text: &str) -> bool {
    let own_form = |key: Vec<u8>| zmq::z85_encode(&key).is_ok_and(|again| again == text);
    text.len() == 40 && text.is_ascii() && zmq::z85_decode(text).is_ok_and(own_form)
}

/// A public key and its secret key.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyPair {
    public: PublicKey,
    secret: String,
}

impl KeyPair {
    /// Generates a new pair.
    ///
    /// # Errors
    /// If libzmq has no CURVE.
    pub fn generate() -> Result<Self, Error> {
        let pair = zmq::CurveKeyPair::new()?;
        let public = PublicKey::from_bytes(&pair.public_key).ok_or(Error::Malformed)?;
        let secret = zmq::z85_encode(&pair.secret_key).map_err(|_| Error::Malformed)?;
        Ok(Self { public, secret })
    }

    /// Reads a file of two lines, the public key first.
    ///
    /// # Errors
    /// If the file cannot be read, or has other content.
    pub fn read(file: &Path) -> Result<Self, Error> {
        let wanted = "a public and a secret key on two lines";
        read(file)?.parse().map_err(|_| Error::Content { file: file.to_owned(), wanted })
    }

    /// Returns the secret and the public key, 32 bytes each; `None` if the texts are not keys.
    #[must_use]
    pub fn to_bytes(&self) -> Option<([u8; 32], [u8; 32])> {
        let bytes = |text: &str| zmq::z85_decode(text).ok()?.try_into().ok();
        Some((bytes(&self.secret)?, bytes(self.public.as_str())?))
    }

    /// Writes a new file, readable by its owner only.
    ///
    /// # Errors
    /// If the file exists, or cannot be written.
    pub fn write(&self, file: &Path) -> Result<(), Error> {
        let mut options = OpenOptions::new();
        let written = options.write(true).create_new(true).mode(0o600).open(file);
        let written = written.and_then(|mut file| file.write_all(self.text().as_bytes()));
        written.map_err(|source| Error::Io { doing: "write", file: file.to_owned(), source })
    }

    /// Returns the content of a key file, which is secret.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n{}\n", self.public, self.secret)
    }

    /// Returns the public key.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }
}

impl FromStr for KeyPair {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        let mut parts = text.split_whitespace();
        match (parts.next(), parts.next(), parts.next()) {
            (Some(public), Some(secret), None) if is_key(secret) => {
                Ok(Self { public: public.parse()?, secret: secret.to_owned() })
            }
            _ => Err(Error::Malformed),
        }
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPair({}, the secret one is not shown)", self.public)
    }
}

/// The keys with which a peer connects to a router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Curve {
    /// The router's key. The peer talks to no other server.
    pub router: PublicKey,
    /// The peer's own keys.
    pub own: KeyPair,
}

impl Curve {
    /// Sets up `socket` so that it connects to that router only.
    ///
    /// # Errors
    /// If libzmq refuses.
    pub fn apply(&self, socket: &zmq::Socket) -> zmq::Result<()> {
        socket.set_curve_serverkey(self.router.0.as_bytes())?;
        socket.set_curve_publickey(self.own.public.0.as_bytes())?;
        socket.set_curve_secretkey(self.own.secret.as_bytes())
    }
}

fn read(file: &Path) -> Result<String, Error> {
    let mut text = String::new();
    let opened = fs::File::open(file);
    let read = opened.and_then(|file| file.take(MAX_FILE_BYTES).read_to_string(&mut text));
    read.map(|_| text).map_err(|source| Error::Io { doing: "read", file: file.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use std::os::unix::fs::MetadataExt;

    #[rstest]
    #[case("")]
    #[case("short")]
    #[case("~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~")]
    #[case("########################################")]
    #[case("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")]
    fn invalid_keys_are_refused(#[case] text: &str) {
        assert!(text.parse::<PublicKey>().is_err());
        assert!(format!("{}\n{text}\n", "a".repeat(40)).parse::<KeyPair>().is_err());
    }

    #[test]
    fn pair_round_trips_and_is_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        let pair = KeyPair::generate().unwrap();
        pair.write(&file).unwrap();
        assert_eq!(KeyPair::read(&file).unwrap(), pair);
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        assert!(!format!("{pair:?}").contains(&pair.secret));
        assert!(matches!(pair.write(&file), Err(Error::Io { .. })), "a key is never overwritten");
        // The wrong file of the two is a clear error, and does not show what it holds.
        let error = PublicKey::read(&file).unwrap_err().to_string();
        assert!(error.contains("one public key") && !error.contains(&pair.secret), "{error}");
    }

    #[test]
    fn public_key_is_read_from_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let key = KeyPair::generate().unwrap().public().clone();
        fs::write(file.path(), format!("{key}\n")).unwrap();
        assert_eq!(PublicKey::read(file.path()).unwrap(), key);
        assert!(matches!(KeyPair::read(file.path()), Err(Error::Content { .. })));
        assert!(matches!(PublicKey::read(Path::new("/none")), Err(Error::Io { .. })));
        assert_eq!(PublicKey::from_bytes(&[7; 31]), None);
    }
}
