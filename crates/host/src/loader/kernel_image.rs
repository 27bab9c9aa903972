//! Whether firmware can start a kernel: systemd-boot 257 ends in exceptions for ever on one that it cannot, and 252 in the
//! `EFI` shell.

use super::pe::{Pe, u16_at};

/// What makes a file a Linux kernel, besides its being an EFI image: bytes at a place. Sources: Linux, "The Linux/x86 Boot
/// Protocol", "Booting `AArch64` Linux", "Boot image header in RISC-V Linux", `zboot-header.S`.
const MARKS: [(usize, &[u8]); 4] = [(0x202, b"HdrS"), (0x38, b"ARM\x64"), (0x38, b"RSC\x05"), (4, b"zimg")];
/// Processors whose kernels have the first mark, as PE numbers them.
const X86: [u16; 2] = [0x14c, 0x8664];
const OTHERS: [u16; 2] = [0xaa64, 0x5064];

/// Look at the beginning of a file of `size` bytes; `head` has at most [`HEAD_BYTES`](super::pe::HEAD_BYTES).
///
/// # Errors
/// What is wrong with the kernel, as a part of a sentence.
pub fn check(head: &[u8], size: u64) -> Result<(), &'static str> {
    if size == 0 {
        return Err("the kernel is empty");
    }
    let pe = Pe::parse(head).map_err(|_| "the kernel is no EFI image")?;
    if !pe.is_inside(size) {
        return Err("the kernel is cut off");
    }
    let has = |(at, mark): &(usize, &[u8])| head.get(*at..).is_some_and(|rest| rest.starts_with(mark));
    let is_kernel = match pe.machine {
        machine if X86.contains(&machine) => has(&MARKS[0]) && u16_at(head, 0x1fe) == Some(0xaa55),
        machine if OTHERS.contains(&machine) => MARKS[1..].iter().any(has),
        // One that nobody here has seen: the firmware knows better.
        _ => true,
    };
    if is_kernel { Ok(()) } else { Err("the kernel is no Linux kernel") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulated::kernel_image;

    /// The same as an x86 kernel, which has its mark elsewhere.
    fn x86() -> Vec<u8> {
        let mut kernel = kernel_image(&"x".repeat(0x300));
        kernel[4..8].fill(0);
        kernel[0x44..0x46].copy_from_slice(&0x8664_u16.to_le_bytes());
        kernel[0x1fe..0x200].copy_from_slice(&0xaa55_u16.to_le_bytes());
        kernel[0x202..0x206].copy_from_slice(b"HdrS");
        kernel
    }

    #[test]
    fn a_kernel_is_what_firmware_can_start() {
        for kernel in [kernel_image("a"), x86()] {
            assert_eq!(check(&kernel, kernel.len() as u64), Ok(()));
            assert_eq!(check(&kernel, kernel.len() as u64 - 1), Err("the kernel is cut off"));
        }
        assert_eq!(check(b"", 0), Err("the kernel is empty"));
        for garbage in [&b"MZ"[..], b"\x7fELF", &[0; 4096], &[0xff; 4096]] {
            assert_eq!(check(garbage, garbage.len() as u64), Err("the kernel is no EFI image"));
        }
    }

    #[test]
    fn every_mark_of_a_kernel_counts() {
        let whole = x86();
        let broken = |at: usize| {
            let mut kernel = whole.clone();
            kernel[at] ^= 0xff;
            check(&kernel, kernel.len() as u64)
        };
        let (none, other) = (Err("the kernel is no EFI image"), Err("the kernel is no Linux kernel"));
        // `MZ`, `PE`, the kind of its header, what starts it; the boot sector's mark, `HdrS`.
        for (at, expected) in
            [(0, none), (0x40, none), (0x58, none), (0x9c, none), (0x1fe, other), (0x202, other)]
        {
            assert_eq!(broken(at), expected, "{at:#x}");
        }
        let mut kernel = kernel_image("a");
        kernel[4] = 0;
        assert_eq!(check(&kernel, kernel.len() as u64), other, "another EFI program");
        kernel[0x68..0x6c].fill(0);
        assert_eq!(check(&kernel, kernel.len() as u64), none, "no place to begin");
    }
}
