//! Files that firmware can start as far as anybody looks, as small as they can be.

/// The bytes of a kernel with this text in it, in the format of a compressed `AArch64` one.
#[must_use]
pub fn kernel_image(text: &str) -> Vec<u8> {
    efi_image(&[(".text", text.as_bytes())])
}

/// An EFI image with these sections. Their names have at most eight letters.
#[must_use]
pub fn efi_image(sections: &[(&str, &[u8])]) -> Vec<u8> {
    const PE_AT: usize = 0x40;
    const OPTIONAL_AT: usize = PE_AT + 24;
    const TABLE_AT: usize = OPTIONAL_AT + OPTIONAL_BYTES;
    const OPTIONAL_BYTES: usize = 152;
    const SECTION_BYTES: usize = 40;
    let headers = TABLE_AT + SECTION_BYTES * sections.len();
    let size = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes();
    let mut image = vec![0; headers];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"MZ\0\0zimg");
    put(0x3c, &size(PE_AT));
    put(PE_AT, b"PE\0\0\x64\xaa");
    put(PE_AT + 6, &size(sections.len())[..2]);
    put(PE_AT + 20, &size(OPTIONAL_BYTES)[..2]);
    put(OPTIONAL_AT, &[0x0b, 2]);
    put(OPTIONAL_AT + 16, &size(headers));
    put(OPTIONAL_AT + 60, &size(headers));
    put(OPTIONAL_AT + 68, &[10]);
    // Five directories, the last of which is the signature: none.
    put(OPTIONAL_AT + 108, &[5]);
    let mut at = headers;
    for (index, (name, bytes)) in sections.iter().enumerate() {
        let entry = TABLE_AT + SECTION_BYTES * index;
        put(entry, &name.as_bytes()[..name.len().min(8)]);
        for (field, value) in [(8, bytes.len()), (16, bytes.len()), (20, at)] {
            put(entry + field, &size(value));
        }
        at += bytes.len();
    }
    image.extend(sections.iter().flat_map(|(_, bytes)| *bytes));
    image
}
