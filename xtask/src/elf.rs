//! Whether a program needs anything but the kernel: read from its ELF header, as the kernel reads it.

use anyhow::{Context, Result, bail, ensure};

const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const DT_NEEDED: u64 = 1;

/// Fails, with the reason, if the program asks for an interpreter or for libraries.
pub(crate) fn ensure_static(file: &[u8]) -> Result<()> {
    ensure!(file.get(..6) == Some(b"\x7fELF\x02\x01"), "not a 64-bit little-endian ELF file");
    let headers = number(file, 32, 8)?;
    let size = number(file, 54, 2)?;
    let count = number(file, 56, 2)?;
    for index in 0..count {
        let at = headers + index * size;
        match u32::try_from(number(file, at, 4)?)? {
            PT_INTERP => bail!("it names a program interpreter, so it is linked dynamically"),
            PT_DYNAMIC => ensure_needs_nothing(file, number(file, at + 8, 8)?, number(file, at + 32, 8)?)?,
            _ => {}
        }
    }
    Ok(())
}

/// A static position-independent program has a dynamic section too, without libraries in it.
fn ensure_needs_nothing(file: &[u8], offset: u64, length: u64) -> Result<()> {
    for at in (offset..offset + length).step_by(16) {
        ensure!(number(file, at, 8)? != DT_NEEDED, "it needs a shared library");
    }
    Ok(())
}

fn number(file: &[u8], at: u64, width: usize) -> Result<u64> {
    let at = usize::try_from(at)?;
    let bytes = file.get(at..at + width).context("the file is cut short")?;
    Ok(bytes.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ELF header and one program header of this type.
    fn file(kind: u32, dynamic: &[u64]) -> Vec<u8> {
        let mut file = vec![0; 120];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[32..40].copy_from_slice(&64u64.to_le_bytes());
        file[54..56].copy_from_slice(&56u16.to_le_bytes());
        file[56..58].copy_from_slice(&1u16.to_le_bytes());
        file[64..68].copy_from_slice(&kind.to_le_bytes());
        file[72..80].copy_from_slice(&120u64.to_le_bytes());
        file[96..104].copy_from_slice(&(dynamic.len() as u64 * 8).to_le_bytes());
        file.extend(dynamic.iter().flat_map(|word| word.to_le_bytes()));
        file
    }

    #[test]
    fn interpreters_and_libraries_are_found() {
        assert!(ensure_static(&file(1, &[])).is_ok());
        assert!(ensure_static(&file(PT_DYNAMIC, &[30, 8, 0, 0])).is_ok());
        assert!(ensure_static(&file(PT_INTERP, &[])).is_err());
        assert!(ensure_static(&file(PT_DYNAMIC, &[30, 8, DT_NEEDED, 77])).is_err());
        assert!(ensure_static(b"#!/bin/sh").is_err());
        assert!(ensure_static(&file(PT_DYNAMIC, &[30, 8])[..100]).is_err());
    }

    #[test]
    fn this_test_is_linked_dynamically() {
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(ensure_static(&program).is_err());
    }
}
