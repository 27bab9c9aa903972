//! What the signature of a PE file covers. Whether it is somebody's is the firmware's to say; here it only shows that a file
//! is still what was signed. Source: Microsoft, "Windows Authenticode Portable Executable Signature Format".

use std::ops::Range;

use super::pe::Pe;
use super::uki::Hash;

/// Most that is read of a signature, in bytes; lanzaboote's are two kilobytes.
pub const MAX_BYTES: usize = 1 << 16;
/// How the hash of the file begins in a signature: `DigestInfo` of SHA-256, and 32 bytes follow. Source: RFC 8017,
/// section 9.2.
const BEFORE_HASH: [u8; 17] = *b"\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20";

/// Where the signature is; `None` if there is none.
#[must_use]
pub fn place(pe: &Pe) -> Option<Range<u64>> {
    Some(pe.signature.clone()).filter(|place| !place.is_empty())
}

/// What the file hashed to when it was signed; `None` if that was another kind of hash.
#[must_use]
pub fn signed_hash(signature: &[u8]) -> Option<Hash> {
    let at = signature.windows(BEFORE_HASH.len()).position(|window| window == BEFORE_HASH)?;
    signature.get(at + BEFORE_HASH.len()..)?.get(..32)?.try_into().ok()
}

/// The parts of a file of `size` bytes that are hashed, in their order: the headers without what signing changes, the
/// sections by their places, and what follows them. `None` if they overlap: nobody hashes a file many times.
#[must_use]
pub fn hashed(pe: &Pe, size: u64) -> Option<Vec<Range<u64>>> {
    let [checksum, entry] = &pe.unsigned;
    let mut parts = vec![0..checksum.start, checksum.end..entry.start, entry.end..pe.headers];
    let mut sections: Vec<Range<u64>> = pe.sections.iter().map(|section| section.stored.clone()).collect();
    sections.sort_by_key(|section| section.start);
    let bytes = |parts: &[Range<u64>]| parts.iter().map(|part| part.end - part.start).sum::<u64>();
    let covered = pe.headers + bytes(&sections);
    parts.extend(sections);
    parts.push(covered..size.saturating_sub(pe.signature.end - pe.signature.start));
    parts.retain(|part| !part.is_empty());
    (bytes(&parts) <= size).then_some(parts)
}
