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
/// `socketpair` and `pidfd_open` are not among them: starting a process in the standard library uses both.
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
    // Owners and attributes, which landlock does not cover.
    libc::SYS_fchownat,
    libc::SYS_fchown,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    libc::SYS_mknodat,
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

/// Further calls of the one architecture that has an older name for the same.
#[cfg(target_arch = "x86_64")]
const REFUSED_OLD: &[libc::c_long] = &[
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

fn argument(index: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(index, SeccompCmpArgLen::Qword, operator, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filters_fit_into_the_kernel_and_refuse_what_is_listed() {
        let rules = refusals().unwrap();
        assert!(REFUSED.iter().all(|number| rules.contains_key(number)));
        assert!(!rules.contains_key(&libc::SYS_socketpair) && !rules.contains_key(&libc::SYS_pidfd_open));
        assert_eq!(rules[&libc::SYS_clone].len(), 7);
        for program in programs().unwrap() {
            assert!(program.len() < 4096, "{}", program.len());
        }
    }
}
