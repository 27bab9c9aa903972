//! Headers of PE files, which kernels and unified kernel images are. Source: Microsoft, "PE Format".

use std::ops::Range;

/// Beginning of a file that has to hold all of its headers, in bytes. A kernel's and a stub's are a page.
pub const HEAD_BYTES: usize = 1 << 16;
/// What every table of sections starts with, in bytes.
const FILE_HEADER_BYTES: usize = 24;
const SECTION_BYTES: usize = 40;
/// The program is started by firmware.
const EFI_APPLICATION: u16 = 10;

/// What the headers say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pe {
    /// Processor it is for, as the format numbers them.
    pub machine: u16,
    /// Its sections, in their order.
    pub sections: Vec<Section>,
    /// Where the headers say that they end.
    pub headers: u64,
    /// Where the checksum is, and the entry that says where the signature is.
    pub(super) unsigned: [Range<u64>; 2],
    /// Where the signature is; empty if there is none.
    pub signature: Range<u64>,
}

/// A piece of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    name: [u8; 8],
    /// Where it is in the file, with what fills it up.
    pub stored: Range<u64>,
    /// Where its bytes are in the file, without what fills it up.
    pub bytes: Range<u64>,
}

impl Pe {
    /// The headers at the beginning of a file, of which `head` has at most [`HEAD_BYTES`].
    ///
    /// # Errors
    /// Why this is no program that firmware can start, as a part of a sentence.
    pub fn parse(head: &[u8]) -> Result<Self, &'static str> {
        const NONE: &str = "it is no EFI image";
        const CUT: &str = "its headers are cut off";
        if !head.starts_with(b"MZ") {
            return Err(NONE);
        }
        let at = u32_at(head, 0x3c).ok_or(CUT)? as usize;
        let file_header = head.get(at..).and_then(|rest| rest.get(..FILE_HEADER_BYTES)).ok_or(CUT)?;
        if !file_header.starts_with(b"PE\0\0") {
            return Err(NONE);
        }
        let [machine, count, optional_bytes] = [4, 6, 20].map(|at| u16_at(file_header, at).unwrap_or(0));
        let optional_at = at + FILE_HEADER_BYTES;
        let table_at = optional_at + usize::from(optional_bytes);
        let optional = head.get(optional_at..table_at).ok_or(CUT)?;
        let header = OptionalHeader::parse(optional).ok_or(NONE)?;
        let table = head
            .get(table_at..)
            .and_then(|rest| rest.get(..SECTION_BYTES * usize::from(count)))
            .ok_or(CUT)?;
        let sections: Vec<Section> = table.chunks_exact(SECTION_BYTES).filter_map(Section::parse).collect();
        if sections.is_empty() {
            return Err(NONE);
        }
        let from = |at: usize, bytes: u64| (optional_at + at) as u64..(optional_at + at) as u64 + bytes;
        Ok(Self {
            machine,
            sections,
            headers: header.headers,
            unsigned: [from(CHECKSUM_AT, 4), from(header.signature_at, header.signature_bytes)],
            signature: header.signature,
        })
    }

    /// The section of this name; the first one, where there are several.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.is_called(name))
    }

    /// Whether a file of this size has all that the headers name.
    #[must_use]
    pub fn is_inside(&self, size: u64) -> bool {
        let ends = self.sections.iter().map(|section| section.stored.end);
        ends.chain([self.headers, self.signature.end]).all(|end| end <= size)
    }
}

impl Section {
    fn parse(entry: &[u8]) -> Option<Self> {
        let [memory, stored, at] = [8, 16, 20].map(|at| u32_at(entry, at).map(u64::from));
        let (memory, stored, at) = (memory?, stored?, at?);
        // What is only in memory is nowhere in the file.
        let (at, stored) = if at == 0 { (0, 0) } else { (at, stored) };
        let name = entry.get(..8)?.try_into().ok()?;
        Some(Self { name, stored: at..at + stored, bytes: at..at + stored.min(memory) })
    }

    fn is_called(&self, name: &str) -> bool {
        let end = self.name.iter().position(|&byte| byte == 0).unwrap_or(self.name.len());
        self.name[..end] == *name.as_bytes()
    }
}

const CHECKSUM_AT: usize = 64;

/// The header that only programs have.
struct OptionalHeader {
    headers: u64,
    signature_at: usize,
    signature_bytes: u64,
    signature: Range<u64>,
}

impl OptionalHeader {
    /// `None` if it is no program that firmware starts.
    fn parse(header: &[u8]) -> Option<Self> {
        // Where the table of directories is; 64-bit addresses move it.
        let directories = match u16_at(header, 0)? {
            0x10b => 96,
            0x20b => 112,
            _ => return None,
        };
        let (entry_point, headers) = (u32_at(header, 16)?, u32_at(header, 60)?);
        if entry_point == 0 || u16_at(header, 68)? != EFI_APPLICATION {
            return None;
        }
        // The fifth directory; the one place where the format means a place in the file.
        let signature_at = directories + 4 * 8;
        let is_listed = u32_at(header, directories - 4)? > 4;
        let listed = u32_at(header, signature_at).zip(u32_at(header, signature_at + 4));
        let entry = listed.filter(|_| is_listed);
        let (at, bytes) = entry.map_or((0, 0), |(at, bytes)| (u64::from(at), u64::from(bytes)));
        Some(Self {
            headers: headers.into(),
            signature_at,
            signature_bytes: if entry.is_some() { 8 } else { 0 },
            signature: at..at + bytes,
        })
    }
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..)?.get(..2)?.try_into().ok()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..)?.get(..4)?.try_into().ok()?))
}
