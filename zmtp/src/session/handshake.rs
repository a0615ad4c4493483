//! From the greeting to the first message.

use super::{Session, Stage};
use crate::{Error, Security, Step, command, curve, frame, greeting, properties};

impl Session {
    pub(super) fn shake_hands(
        &mut self,
        input: &[u8],
        security: &Security,
        output: &mut Vec<u8>,
    ) -> Result<Step<'static>, Error> {
        if matches!(self.stage, Stage::New) {
            output.extend_from_slice(&greeting::first(security.mechanism()));
            self.stage = Stage::Greeting { answered: false };
        }
        match &self.stage {
            Stage::Failed(error) => Err(*error),
            Stage::New | Stage::Greeting { .. } => self.greeted(input, security, output),
            Stage::Proved | Stage::Open => Ok(Step::Incomplete),
            Stage::Admitted => {
                self.stage = Stage::Open;
                Ok(Step::Ready { consumed: 0 })
            }
            Stage::Ready | Stage::Hello | Stage::Initiate(_) => match command::take(input)? {
                Some((body, consumed)) => self
                    .commanded(body, consumed, security, output)
                    .inspect_err(|error| command::push_error(*error, output)),
                None => Ok(Step::Incomplete),
            },
        }
    }

    fn greeted(
        &mut self,
        input: &[u8],
        security: &Security,
        output: &mut Vec<u8>,
    ) -> Result<Step<'static>, Error> {
        let is_whole = greeting::check(input, security.mechanism())?;
        if greeting::has_version(input) && !matches!(self.stage, Stage::Greeting { answered: true }) {
            output.extend_from_slice(&greeting::rest(security.mechanism()));
            self.stage = Stage::Greeting { answered: true };
        }
        if !is_whole {
            return Ok(Step::Incomplete);
        }
        self.stage = match security {
            Security::Null => Stage::Ready,
            Security::Curve(_) => Stage::Hello,
        };
        Ok(Step::Consumed(greeting::BYTES))
    }

    /// A whole command of the handshake.
    fn commanded(
        &mut self,
        body: &[u8],
        consumed: usize,
        security: &Security,
        output: &mut Vec<u8>,
    ) -> Result<Step<'static>, Error> {
        match (&self.stage, security) {
            (Stage::Ready, Security::Null) => {
                properties::check(command::expect(command::READY, body)?)?;
                // Not before: of a socket that no ROUTER speaks with, libzmq leaves without a word when it reads this.
                frame::push_command(&[command::READY, properties::OURS], output);
                self.stage = Stage::Open;
                Ok(Step::Ready { consumed })
            }
            (Stage::Hello, Security::Curve(server)) => {
                let fields = command::expect(curve::HELLO, body)?;
                self.stage = Stage::Initiate(curve::welcome(server, fields, &(self.random)()?, output)?);
                Ok(Step::Consumed(consumed))
            }
            (Stage::Initiate(cookie), Security::Curve(server)) => {
                let fields = command::expect(curve::INITIATE, body)?;
                let channel = Box::new(curve::initiate(server, cookie, fields)?);
                let key = channel.peer;
                self.channel = Some(channel);
                self.stage = Stage::Proved;
                Ok(Step::Proved { consumed, key })
            }
            // Another port's security than at the last step.
            _ => Err(Error::Mechanism),
        }
    }

    /// After [`Step::Proved`]: whether the peer may go on; at any other time nothing happens. If it may, the next step is
    /// [`Step::Ready`]; if not it is told so, and each further step fails with [`Error::Refused`].
    pub fn admit(&mut self, admitted: bool, output: &mut Vec<u8>) {
        let (Stage::Proved, Some(channel)) = (&self.stage, self.channel.as_mut()) else { return };
        self.stage = if admitted {
            channel.ready(output);
            Stage::Admitted
        } else {
            command::push_error(Error::Refused, output);
            Stage::Failed(Error::Refused)
        };
    }
}
