//! The handshake: from the greeting to the first message.

use super::{Session, Stage};
use crate::{Security, SessionEvent, ZmtpError, command, curve, frame, greeting, properties};

impl Session {
    pub(super) fn handshake(
        &mut self,
        input: &[u8],
        security: &Security,
        output: &mut Vec<u8>,
    ) -> Result<SessionEvent<'static>, ZmtpError> {
        if matches!(self.stage, Stage::New) {
            output.extend_from_slice(&greeting::first_part(security.mechanism()));
            self.stage = Stage::Greeting { answered: false };
        }
        match &self.stage {
            Stage::Failed(error) => Err(*error),
            Stage::New | Stage::Greeting { .. } => self.on_greeting(input, security, output),
            Stage::KeyVerified | Stage::Open => Ok(SessionEvent::Incomplete),
            Stage::Admitted => {
                self.stage = Stage::Open;
                Ok(SessionEvent::Ready { consumed: 0 })
            }
            Stage::Ready | Stage::Hello | Stage::Initiate(_) => match command::read(input)? {
                Some((body, consumed)) => self
                    .on_command(body, consumed, security, output)
                    .inspect_err(|error| command::push_error(*error, output)),
                None => Ok(SessionEvent::Incomplete),
            },
        }
    }

    fn on_greeting(
        &mut self,
        input: &[u8],
        security: &Security,
        output: &mut Vec<u8>,
    ) -> Result<SessionEvent<'static>, ZmtpError> {
        let is_whole = greeting::check(input, security.mechanism())?;
        if greeting::has_version(input) && !matches!(self.stage, Stage::Greeting { answered: true }) {
            output.extend_from_slice(&greeting::second_part(security.mechanism()));
            self.stage = Stage::Greeting { answered: true };
        }
        if !is_whole {
            return Ok(SessionEvent::Incomplete);
        }
        self.stage = match security {
            Security::Null => Stage::Ready,
            Security::Curve(_) => Stage::Hello,
        };
        Ok(SessionEvent::Consumed(greeting::GREETING_BYTES))
    }

    /// Handles a whole command of the handshake.
    fn on_command(
        &mut self,
        body: &[u8],
        consumed: usize,
        security: &Security,
        output: &mut Vec<u8>,
    ) -> Result<SessionEvent<'static>, ZmtpError> {
        match (&self.stage, security) {
            (Stage::Ready, Security::Null) => {
                properties::check(command::expect(command::READY, body)?)?;
                // Sent after the check, because libzmq disconnects silently when a socket of the wrong type gets READY.
                frame::push_command(&[command::READY, properties::SERVER_PROPERTIES], output);
                self.stage = Stage::Open;
                Ok(SessionEvent::Ready { consumed })
            }
            (Stage::Hello, Security::Curve(server)) => {
                let fields = command::expect(curve::HELLO, body)?;
                self.stage = Stage::Initiate(curve::welcome(server, fields, &(self.random)()?, output)?);
                Ok(SessionEvent::Consumed(consumed))
            }
            (Stage::Initiate(cookie), Security::Curve(server)) => {
                let fields = command::expect(curve::INITIATE, body)?;
                let codec = Box::new(curve::initiate(server, cookie, fields)?);
                let key = codec.peer;
                self.codec = Some(codec);
                self.stage = Stage::KeyVerified;
                Ok(SessionEvent::KeyVerified { consumed, key })
            }
            // The caller passed another security than in the last call.
            _ => Err(ZmtpError::Mechanism),
        }
    }

    /// Admits or refuses the peer after [`SessionEvent::KeyVerified`]; does nothing at any other time. If it is admitted,
    /// the next event is [`SessionEvent::Ready`]. If not, an ERROR is appended to `output`, and every later call returns
    /// [`ZmtpError::Refused`].
    pub fn admit(&mut self, admitted: bool, output: &mut Vec<u8>) {
        let (Stage::KeyVerified, Some(codec)) = (&self.stage, self.codec.as_mut()) else { return };
        self.stage = if admitted {
            codec.write_ready(output);
            Stage::Admitted
        } else {
            command::push_error(ZmtpError::Refused, output);
            Stage::Failed(ZmtpError::Refused)
        };
    }
}
