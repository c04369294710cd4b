//! What the kernel knows of a thread's pages: the only unsafe lines of the recycling of instances.
//!
//! A fresh memory is a private mapping of its image, and of zeros beyond. The first write to a page gives the mapping a
//! page of its own, a *private* one; only private pages can differ from the image. [`Pagemap::private_pages`] has the
//! kernel name them (`PAGEMAP_SCAN`): present or swapped out, neither of a file nor the page of zeros.
//!
//! A write that makes a page private is a page fault of the writing thread. So if the count of a thread's faults has not
//! moved ([`faults`]), and only that thread writes to a memory, then the private pages of it are those that were private
//! before. One thing makes pages private without a fault: the kernel's collector of huge pages. [`keep_small`] keeps
//! it away from a memory.
//!
//! None of this reads or writes the memory in question; what is done with the answer is ordinary safe code.

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::os::fd::AsRawFd;

/// What the kernel calls the categories of a page (`linux/fs.h`).
mod category {
    pub(super) const FILE: u64 = 1 << 2;
    pub(super) const PRESENT: u64 = 1 << 3;
    pub(super) const SWAPPED: u64 = 1 << 4;
    pub(super) const PAGE_OF_ZEROS: u64 = 1 << 5;
}

/// How many regions one question to the kernel can find.
const REGIONS: usize = 256;

/// `struct page_region` of `linux/fs.h`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct PageRegion {
    start: u64,
    end: u64,
    categories: u64,
}

/// `struct pm_scan_arg` of `linux/fs.h`.
#[repr(C)]
#[derive(Debug, Default)]
struct ScanArgument {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    regions: u64,
    regions_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

const PAGEMAP_SCAN: libc::Ioctl = libc::_IOWR::<ScanArgument>(b'f' as u32, 16);

/// The page map of this process.
#[derive(Debug)]
pub(crate) struct Pagemap(File);

impl Pagemap {
    /// Opens the page map.
    ///
    /// # Errors
    /// When the kernel has none, or cannot scan it.
    pub(crate) fn open() -> io::Result<Self> {
        let pagemap = Self(File::open("/proc/self/pagemap")?);
        pagemap.scan(0..0, &mut [PageRegion::default(); REGIONS])?;
        Ok(pagemap)
    }

    /// Finds the private pages of a memory: replaces `found` by their ranges of bytes, in order, none empty.
    ///
    /// # Errors
    /// When the kernel cannot scan the range; `found` is then of no use.
    pub(crate) fn private_pages(&self, memory: &[u8], found: &mut Vec<Range<usize>>) -> io::Result<()> {
        found.clear();
        let base = memory.as_ptr().addr() as u64;
        let end = base + memory.len() as u64;
        let mut start = base;
        let mut regions = [PageRegion::default(); REGIONS];
        while start < end {
            let (count, walked) = self.scan(start..end, &mut regions)?;
            for region in &regions[..count] {
                let range = region.start.max(base)..region.end.min(end);
                if !range.is_empty() {
                    found.push((range.start - base) as usize..(range.end - base) as usize);
                }
            }
            if walked <= start {
                return Err(io::Error::other("the scan of the page map does not advance"));
            }
            start = walked;
        }
        Ok(())
    }

    /// Asks the kernel for the first private regions in a range; returns how many there are, and how far it came.
    #[expect(unsafe_code, reason = "the kernel's question has no safe face")]
    fn scan(&self, range: Range<u64>, regions: &mut [PageRegion; REGIONS]) -> io::Result<(usize, u64)> {
        let mut argument = ScanArgument {
            size: size_of::<ScanArgument>() as u64,
            start: range.start,
            end: range.end,
            regions: regions.as_mut_ptr().expose_provenance() as u64,
            regions_len: REGIONS as u64,
            category_inverted: category::FILE | category::PAGE_OF_ZEROS,
            category_mask: category::FILE | category::PAGE_OF_ZEROS,
            category_anyof_mask: category::PRESENT | category::SWAPPED,
            ..ScanArgument::default()
        };
        // SAFETY: the request takes a pointer to a `pm_scan_arg`, which `ScanArgument` is, field by field; it lives on
        // this stack. The kernel writes to it, and to at most `regions_len` entries at `regions`, which is the length
        // of the array that this function has the only reference to. With `flags` 0 it changes nothing else: the range
        // is walked in the page tables, and need not even be mapped.
        let count = unsafe { libc::ioctl(self.0.as_raw_fd(), PAGEMAP_SCAN, &raw mut argument) };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        Ok((count.min(REGIONS), argument.walk_end))
    }
}

/// Returns how many page faults this thread has had, if the kernel says.
#[expect(unsafe_code, reason = "the kernel's question has no safe face")]
pub(crate) fn faults() -> Option<u64> {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the call writes a `rusage` to the pointer, which is that of one on this stack.
    let result = unsafe { libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) };
    // SAFETY: every field is an integer, so that zeros are a value of the type, whatever the call wrote.
    let usage = unsafe { usage.assume_init() };
    // A page that must be read from a disk first is counted among the major ones.
    (result == 0).then(|| (usage.ru_minflt as u64).wrapping_add(usage.ru_majflt as u64))
}

/// Keeps huge pages away from a memory.
///
/// # Errors
/// When the kernel has huge pages, and refuses.
#[expect(unsafe_code, reason = "the kernel's request has no safe face")]
pub(crate) fn keep_small(memory: &[u8]) -> io::Result<()> {
    let start = memory.as_ptr().cast_mut().cast();
    // SAFETY: this advice changes neither content nor rights of the range, only how large the pages behind it may
    // become. The range is mapped while the reference to it lives.
    let result = unsafe { libc::madvise(start, memory.len(), libc::MADV_NOHUGEPAGE) };
    let error = io::Error::last_os_error();
    match result {
        0 => Ok(()),
        // A kernel without huge pages does not know the advice.
        _ if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
        _ => Err(error),
    }
}

#[cfg(test)]
#[expect(unsafe_code, reason = "a test maps memory of its own")]
mod tests {
    use std::ptr::null_mut;
    use std::slice;

    use super::*;

    const PAGE: usize = 4096;

    /// A private mapping, of zeros or of a file.
    struct Mapping {
        start: *mut u8,
        length: usize,
    }

    impl Mapping {
        fn new(length: usize, file: Option<&File>) -> Self {
            let (fd, flags) = file.map_or((-1, libc::MAP_ANONYMOUS), |file| (file.as_raw_fd(), 0));
            let rights = libc::PROT_READ | libc::PROT_WRITE;
            // SAFETY: a new mapping, at a place that the kernel chooses.
            let start = unsafe { libc::mmap(null_mut(), length, rights, libc::MAP_PRIVATE | flags, fd, 0) };
            assert_ne!(start, libc::MAP_FAILED);
            Self { start: start.cast(), length }
        }

        fn bytes(&self) -> &[u8] {
            // SAFETY: mapped, initialised by the kernel, and borrowed like the mapping.
            unsafe { slice::from_raw_parts(self.start, self.length) }
        }

        fn bytes_mut(&mut self) -> &mut [u8] {
            // SAFETY: as above, and the mapping is borrowed for writing.
            unsafe { slice::from_raw_parts_mut(self.start, self.length) }
        }
    }

    impl Drop for Mapping {
        fn drop(&mut self) {
            // SAFETY: the mapping is this one, and nothing borrows it any more.
            unsafe { libc::munmap(self.start.cast(), self.length) };
        }
    }

    fn private_pages(memory: &[u8]) -> Vec<usize> {
        let mut found = Vec::from_iter([7..9, 11..12]);
        Pagemap::open().unwrap().private_pages(memory, &mut found).unwrap();
        assert!(found.iter().all(|range| !range.is_empty() && range.start % PAGE == 0 && range.end % PAGE == 0));
        found.into_iter().flat_map(|range| (range.start / PAGE)..(range.end / PAGE)).collect()
    }

    #[test]
    fn pages_that_were_written_are_private_and_pages_that_were_read_are_not() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(64 * PAGE as u64).unwrap();
        for file in [None, Some(&file)] {
            let mut mapping = Mapping::new(64 * PAGE, file);
            keep_small(mapping.bytes()).unwrap();
            assert_eq!(private_pages(mapping.bytes()), [0; 0]);
            assert_eq!(mapping.bytes().iter().map(|byte| u64::from(*byte)).sum::<u64>(), 0);
            assert_eq!(private_pages(mapping.bytes()), [0; 0], "after reading");
            for page in [3, 4, 63] {
                mapping.bytes_mut()[page * PAGE + 17] = 1;
            }
            assert_eq!(private_pages(mapping.bytes()), [3, 4, 63]);
            // What is written back is still a page of its own.
            mapping.bytes_mut()[3 * PAGE + 17] = 0;
            assert_eq!(private_pages(mapping.bytes()), [3, 4, 63]);
        }
    }

    #[test]
    fn more_regions_than_one_question_finds_are_all_found() {
        let pages = 8 * REGIONS;
        let mut mapping = Mapping::new(pages * PAGE, None);
        keep_small(mapping.bytes()).unwrap();
        let written: Vec<_> = (0..pages).filter(|page| page % 2 == 1).collect();
        written.iter().for_each(|page| mapping.bytes_mut()[page * PAGE] = 1);
        assert_eq!(private_pages(mapping.bytes()), written);
    }

    #[test]
    fn a_write_that_makes_a_page_private_is_a_fault_of_its_thread() {
        let mut mapping = Mapping::new(64 * PAGE, None);
        keep_small(mapping.bytes()).unwrap();
        for page in 0..64 {
            let before = faults().unwrap();
            mapping.bytes_mut()[page * PAGE] = 1;
            assert_ne!(faults().unwrap(), before);
            let before = faults().unwrap();
            mapping.bytes_mut()[page * PAGE + 1] = 1;
            assert_eq!(faults().unwrap(), before, "a second write to page {page}");
        }
    }
}
