//! The canary's program: a static ELF executable of some 200 bytes, so that no compiler, libc or image is needed. It
//! writes `{}` to `results.json` in the job directory, and exits with 0 only if that was written.
//!
//! Only x86-64 is supported. On any other architecture there is no program, and the worker runs without a canary.

/// The content of the file that the program writes.
pub(super) const RESULT: &[u8] = b"{}";

/// Returns the executable for this machine's architecture, or `None` if it is not supported.
pub(super) fn program() -> Option<Vec<u8>> {
    cfg!(target_arch = "x86_64").then(x86_64)
}

const PATH: &[u8] = b"/mnt/exercism-iteration/results.json\0";
/// The address that the file is mapped at.
const BASE: u32 = 0x40_0000;
/// Size of an ELF header and one program header.
const HEADERS_BYTES: u32 = 64 + 56;
/// Size of the machine code.
const CODE_BYTES: u32 = 59;

fn x86_64() -> Vec<u8> {
    let path = BASE + HEADERS_BYTES + CODE_BYTES;
    let text = path + u32::try_from(PATH.len()).unwrap_or_default();
    let code = x86_64_code(path, text);
    [elf(&code), code, PATH.to_vec(), RESULT.to_vec()].concat()
}

#[rustfmt::skip]
fn x86_64_code(path: u32, text: u32) -> Vec<u8> {
    const SYSCALL: &[u8] = &[0x0f, 0x05];
    let parts: [&[u8]; 20] = [
        &[0xb8], &257_u32.to_le_bytes(),           // mov eax, openat
        &[0xbf], &(-100_i32).to_le_bytes(),        // mov edi, AT_FDCWD
        &[0xbe], &path.to_le_bytes(),              // mov esi, path
        &[0xba], &0o301_u32.to_le_bytes(),         // mov edx, O_WRONLY | O_CREAT | O_EXCL
        &[0x41, 0xba], &0o644_u32.to_le_bytes(),   // mov r10d, 0644
        SYSCALL,
        &[0x89, 0xc7],                             // mov edi, eax      the file, or an error
        &[0xb8], &1_u32.to_le_bytes(),             // mov eax, write
        &[0xbe], &text.to_le_bytes(),              // mov esi, text
        &[0xba, 0x02, 0x00, 0x00, 0x00],           // mov edx, 2
        SYSCALL,
        &[0x83, 0xe8, 0x02, 0x89, 0xc7],           // sub eax, 2; mov edi, eax
        &[0xb8, 0xe7, 0x00, 0x00, 0x00, 0x0f, 0x05], // mov eax, exit_group; syscall
    ];
    parts.concat()
}

/// Returns the ELF headers of a program that is mapped as a whole, readable and executable.
fn elf(code: &[u8]) -> Vec<u8> {
    let size =
        u64::try_from(code.len() + PATH.len() + RESULT.len()).unwrap_or_default() + u64::from(HEADERS_BYTES);
    let entry = u64::from(BASE + HEADERS_BYTES);
    let mut out = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut put = |bytes: &[u8]| out.extend_from_slice(bytes);
    put(&2_u16.to_le_bytes()); // an executable
    put(&62_u16.to_le_bytes()); // for x86-64
    put(&1_u32.to_le_bytes()); // version
    put(&entry.to_le_bytes());
    put(&64_u64.to_le_bytes()); // program headers follow this one
    put(&0_u64.to_le_bytes()); // no sections
    put(&0_u32.to_le_bytes()); // flags
    for half in [64_u16, 56, 1, 0, 0, 0] {
        put(&half.to_le_bytes()); // sizes and counts of headers
    }
    put(&1_u32.to_le_bytes()); // to be loaded
    put(&5_u32.to_le_bytes()); // readable, executable
    for long in [0, u64::from(BASE), u64::from(BASE), size, size, 0x1000] {
        put(&long.to_le_bytes()); // offset, addresses, sizes, alignment
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_fit_the_code() {
        let code = x86_64_code(0, 0);
        assert_eq!(code.len(), usize::try_from(CODE_BYTES).unwrap());
        assert_eq!(elf(&code).len(), usize::try_from(HEADERS_BYTES).unwrap());
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn fails_without_a_job_dir() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("canary");
        std::fs::write(&file, program().unwrap()).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        // There is no job directory here, so writing fails; a broken program would end by a signal.
        let code = std::process::Command::new(&file).status().unwrap().code();
        assert!(code.is_some_and(|code| code != 0), "{code:?}");
    }
}
