//! What of the kernel a jailed program does not reach: seccomp.
//!
//! A list of refusals, because the program is a whole compiler that must not stop working with the next release of
//! its C library. It need not be complete: landlock stands before the files, and what is listed here is what would lead
//! around it or out of the process group, and the parts of the kernel in which its holes have been found.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

/// Calls that are refused whatever their arguments.
///
/// `pidfd_open` is not among them, and `socketpair` only in part: starting a process in the standard library uses both.
const REFUSED: &[libc::c_long] = &[
    // Connections.
    libc::SYS_socket,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    // Leaving the group in which the guard finds everything.
    libc::SYS_setsid,
    libc::SYS_setpgid,
    // File systems and namespaces.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_fanotify_init,
    libc::SYS_quotactl,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    // Owners, modes, times and attributes, which landlock does not cover.
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    FCHMODAT2,
    libc::SYS_utimensat,
    libc::SYS_fchownat,
    libc::SYS_fchown,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    SETXATTRAT,
    REMOVEXATTRAT,
    FILE_SETATTR,
    libc::SYS_quotactl_fd,
    libc::SYS_mknodat,
    // What processes of the same user share or see of one another without a file.
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_msgget,
    libc::SYS_msgsnd,
    libc::SYS_msgrcv,
    libc::SYS_msgctl,
    libc::SYS_semget,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_semctl,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
    libc::SYS_inotify_init1,
    libc::SYS_inotify_add_watch,
    libc::SYS_setpriority,
    libc::SYS_ioprio_set,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_setparam,
    libc::SYS_sched_setscheduler,
    libc::SYS_sched_setattr,
    // Code from memory.
    libc::SYS_memfd_create,
    libc::SYS_execveat,
    // Parts of the kernel that no compiler needs.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_syslog,
    libc::SYS_personality,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_vhangup,
    libc::SYS_nfsservctl,
    libc::SYS_lookup_dcookie,
    libc::SYS_mbind,
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
];

/// Calls that are younger than the list of our library; they have the same number on every architecture.
const FCHMODAT2: libc::c_long = 452;
const SETXATTRAT: libc::c_long = 463;
const REMOVEXATTRAT: libc::c_long = 466;
const FILE_SETATTR: libc::c_long = 469;

/// Commands of `fcntl` by which a descriptor sends signals, or tells what others do with a folder or file.
const REFUSED_OF_FCNTL: &[libc::c_int] = &[libc::F_SETOWN, F_SETSIG, F_SETOWN_EX, libc::F_SETLEASE, libc::F_NOTIFY];
const F_SETSIG: libc::c_int = 10;
const F_SETOWN_EX: libc::c_int = 15;

/// Commands of `ioctl` that do the same, or change attributes of files.
const REFUSED_OF_IOCTL: &[u32] = &[FIOSETOWN, SIOCSPGRP, FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR];
const FIOSETOWN: u32 = 0x8901;
const SIOCSPGRP: u32 = 0x8902;
const FS_IOC_SETFLAGS: u32 = 0x4008_6602;
const FS_IOC_FSSETXATTR: u32 = 0x401c_5820;

/// The kinds of a pair of sockets of which one can send to whoever has a name: all but those that stay connected. `SOCK_RAW`
/// is another name for the first.
const REFUSED_PAIRS: [libc::c_int; 2] = [libc::SOCK_DGRAM, libc::SOCK_RAW];

/// Further calls of the one architecture that has an older name for the same.
#[cfg(target_arch = "x86_64")]
const REFUSED_OLD: &[libc::c_long] = &[
    libc::SYS_chmod,
    libc::SYS_utime,
    libc::SYS_utimes,
    libc::SYS_futimesat,
    libc::SYS_inotify_init,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_mknod,
    libc::SYS_ioperm,
    libc::SYS_iopl,
    libc::SYS_kexec_file_load,
    libc::SYS_uselib,
    libc::SYS_modify_ldt,
];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_OLD: &[libc::c_long] = &[];

/// What marks a call of the second table of x86-64, by which every call has a second number.
#[cfg(target_arch = "x86_64")]
const SECOND_TABLE: Option<i64> = Some(0x4000_0000);
#[cfg(not(target_arch = "x86_64"))]
const SECOND_TABLE: Option<i64> = None;

/// The flags of `clone` that make a namespace.
const NAMESPACES: libc::c_int = libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET;

/// Has the kernel refuse the calls, in this process and all that it starts.
///
/// # Errors
/// Why the wall does not stand.
pub(super) fn put_up() -> Result<(), String> {
    let describe = |error: &dyn std::fmt::Display| error.to_string();
    for program in programs().map_err(|error| describe(&error))? {
        seccompiler::apply_filter(&program).map_err(|error| describe(&error))?;
    }
    Ok(())
}

/// Returns the filters: one for refusals, and one that makes `clone3` unknown, whose flags no filter can read, so that
/// the C library falls back to `clone`, whose flags one can.
fn programs() -> Result<[BpfProgram; 2], seccompiler::BackendError> {
    let errno = |number: i32| SeccompAction::Errno(number.cast_unsigned());
    let unknown = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    Ok([program(refusals()?, errno(libc::EPERM))?, program(unknown, errno(libc::ENOSYS))?])
}

fn program(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    action: SeccompAction,
) -> Result<BpfProgram, seccompiler::BackendError> {
    let architecture = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, SeccompAction::Allow, action, architecture)?.try_into()
}

fn refusals() -> Result<BTreeMap<i64, Vec<SeccompRule>>, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        REFUSED.iter().chain(REFUSED_OLD).map(|number| (*number, Vec::new())).collect();
    rules.insert(libc::SYS_clone, any_bit_of(0, NAMESPACES)?);
    // To abort is to send a signal to oneself. Whoever is started later has another number, and
    // aborts by a forbidden instruction instead.
    let own = u64::try_from(rustix::process::getpid().as_raw_nonzero().get()).unwrap_or(0);
    rules.insert(libc::SYS_tgkill, vec![SeccompRule::new(vec![number(0, SeccompCmpOp::Ne, own)?])?]);
    let word = |command: &libc::c_int| u64::from(command.cast_unsigned());
    let of_fcntl = REFUSED_OF_FCNTL.iter().map(|command| equals(1, SeccompCmpOp::Eq, word(command)));
    rules.insert(libc::SYS_fcntl, of_fcntl.collect::<Result<_, _>>()?);
    let of_ioctl = REFUSED_OF_IOCTL.iter().map(|command| equals(1, SeccompCmpOp::Eq, u64::from(*command)));
    rules.insert(libc::SYS_ioctl, of_ioctl.collect::<Result<_, _>>()?);
    let pairs = REFUSED_PAIRS.iter().map(|kind| equals(1, SeccompCmpOp::MaskedEq(0xf), word(kind)));
    rules.insert(libc::SYS_socketpair, pairs.collect::<Result<_, _>>()?);
    // Its own limits a process may read.
    rules.insert(libc::SYS_prlimit64, vec![SeccompRule::new(vec![argument(0, SeccompCmpOp::Ne, 0)?])?]);
    if let Some(second) = SECOND_TABLE {
        let twins: Vec<_> = rules.iter().map(|(number, rule)| (number | second, rule.clone())).collect();
        rules.extend(twins);
    }
    Ok(rules)
}

/// Rules that hold when an argument has any of these bits.
fn any_bit_of(index: u8, bits: libc::c_int) -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let bits = u64::from(bits.cast_unsigned());
    let single = (0..u64::BITS).map(|shift| 1 << shift).filter(|bit| bits & bit != 0);
    single.map(|bit| SeccompRule::new(vec![argument(index, SeccompCmpOp::MaskedEq(bit), bit)?])).collect()
}

/// A rule on an argument that the kernel reads as a number of 32 bits, whatever the upper half holds.
fn equals(index: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompRule, seccompiler::BackendError> {
    SeccompRule::new(vec![number(index, operator, value)?])
}

fn number(index: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(index, SeccompCmpArgLen::Dword, operator, value)
}

fn argument(index: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(index, SeccompCmpArgLen::Qword, operator, value)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::io;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::{UnixDatagram, UnixStream};
    use std::process::Command;
    use std::thread;
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn the_filters_fit_into_the_kernel_and_refuse_what_is_listed() {
        let rules = refusals().unwrap();
        assert!(REFUSED.iter().all(|number| rules.contains_key(number)));
        assert!(!rules.contains_key(&libc::SYS_pidfd_open));
        assert_eq!((rules[&libc::SYS_clone].len(), rules[&libc::SYS_socketpair].len()), (7, 2));
        for program in programs().unwrap() {
            assert!(program.len() < 4096, "{}", program.len());
        }
    }

    /// Runs something on a thread with the filters and nothing else of the jail.
    fn filtered<T: Send>(work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let worker = scope.spawn(|| {
                put_up().unwrap();
                work()
            });
            worker.join().unwrap()
        })
    }

    #[test]
    fn modes_times_and_names_of_others_are_out_of_reach() {
        let folder = tempfile::tempdir().unwrap();
        let file = fs::File::create(folder.path().join("file")).unwrap();
        let refused = filtered(|| {
            let path = folder.path().join("file");
            let mode = Permissions::from_mode(0o777);
            [
                ("chmod", fs::set_permissions(&path, mode.clone())),
                ("fchmod", file.set_permissions(mode)),
                ("utimensat", file.set_modified(SystemTime::UNIX_EPOCH)),
                ("socketpair", UnixDatagram::pair().map(drop)),
                (
                    "inotify",
                    rustix::fs::inotify::init(rustix::fs::inotify::CreateFlags::empty())
                        .map(drop)
                        .map_err(io::Error::from),
                ),
                ("setpriority", rustix::process::setpriority_process(None, 5).map_err(io::Error::from)),
            ]
        });
        for (call, result) in refused {
            assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::EPERM), "{call}");
        }
    }

    #[test]
    fn what_a_compiler_needs_still_works() {
        let (pair, status) = filtered(|| (UnixStream::pair().is_ok(), Command::new("true").status()));
        assert!(pair && status.unwrap().success());
    }
}
