//! The documentation's pages as a reader uses them: their fenced blocks, what is typed in them, and what must come of it.
//!
//! In a block with the info string `console`, a line that begins with `$ ` is typed by the user, one that begins with
//! `# ` by root. A trailing `\` and a here-document continue it. The lines below are what it prints, compared one by one
//! without blanks at their ends; `…` stands for any text in a line, and a line of only `…` for any lines. Nothing is
//! compared where a command has no lines below it. Words after `console` steer the test, and nobody sees them:
//!
//! | word | meaning |
//! | --- | --- |
//! | `background` | the command goes on: the next block is run once its output is there. It gets Ctrl-C at the page's end |
//! | `after-ctrl-c` | before this block, all that run in the background get Ctrl-C |
//! | `exit=N` | the last command ends with this code |
//! | `given` | the values are the reader's: the test has its own for each of these variables |
//! | `not-run` | is not run; a comment above the block says why |

pub mod check;
pub mod console;
pub mod matching;
pub mod page;
pub mod scratch;
pub mod session;
pub mod tutorial;
