//! Runs the documentation's pages as a reader would: types the commands of their fenced blocks, and compares the output.
//!
//! In a block with the info string `console`, a line that begins with `$ ` is typed by the user, and one that begins
//! with `# ` by root. A trailing `\` or a here-document continues the command. The lines below a command are its
//! expected output. They are compared one by one without trailing blanks; `…` stands for any text within a line, and a
//! line of only `…` for any lines. The output of a command without lines below it is not compared. Flags after
//! `console` control the test; they are not rendered:
//!
//! | flag | meaning |
//! | --- | --- |
//! | `background` | the command keeps running; the next block runs once the output is there. Ctrl-C ends it at the page's end |
//! | `after-ctrl-c` | before this block, all background commands get Ctrl-C |
//! | `exit=N` | the last command ends with this code |
//! | `given` | the reader chooses the values of these variables; the test has its own |
//! | `not-run` | the block is not run; a comment above it says why |

pub mod check;
pub mod console;
pub mod matching;
pub mod page;
pub mod scratch;
pub mod session;
pub mod tutorial;
