//! The system calls that nothing in a sandbox may make, as a program for seccomp.
//!
//! Everything else is allowed: namespaces and Landlock decide about files, processes and the network. Refused is what looks
//! into other processes, what makes new namespaces or mounts, what types into a terminal, kernel keys, and doors to the
//! kernel that a command line does not need, and every way to a file that runs as its owner. `clone3`, `openat2` and
//! `io_uring` are answered as on a kernel that has none: what they would do cannot be seen from here, and programs fall back
//! to what can.

use seccompiler::sock_filter;

/// `BPF_LD | BPF_W | BPF_ABS`
const LOAD: u16 = 0x20;
/// `BPF_JMP | BPF_JEQ | BPF_K`
const IF_EQUAL: u16 = 0x15;
/// `BPF_JMP | BPF_JGE | BPF_K`
#[cfg(target_arch = "x86_64")]
const IF_AT_LEAST: u16 = 0x35;
/// `BPF_JMP | BPF_JSET | BPF_K`
const IF_ANY_BIT: u16 = 0x45;
/// `BPF_RET | BPF_K`
const RETURN: u16 = 0x06;

const ALLOW: u32 = 0x7fff_0000;
const ERRNO: u32 = 0x0005_0000;

/// Offsets in `struct seccomp_data`. Arguments are 64 bits; what is looked at is in their lower half.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const FIRST: u32 = 16;
const SECOND: u32 = 24;
const THIRD: u32 = 32;
const FOURTH: u32 = 40;

#[cfg(target_arch = "x86_64")]
const OURS: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const OURS: u32 = 0xc000_00b7;

/// All `CLONE_NEW*` that `clone` and `unshare` take.
const NAMESPACES: u32 = 0x7e02_0000;
/// `S_ISUID` and `S_ISGID`: what carries them is run as its owner, outside too. Writing to a file takes them off again.
const BORROWED: u32 = 0o6000;
/// `O_CREAT` and what makes `O_TMPFILE` more than `O_DIRECTORY`: only with one of them is the mode of an `open` looked at, and
/// without them it may be anything.
const MAKES: u32 = 0o20_000_100;
const TIOCSTI: u32 = 0x5412;
const TIOCLINUX: u32 = 0x541c;

/// Families of sockets that are confined by the network namespace, or are a file: no others.
const FAMILIES: [u32; 4] = [1, 2, 10, 16];

const FCHMODAT2: libc::c_long = 452;

/// Refused with `EPERM`.
const REFUSED: &[libc::c_long] = &[
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    // Namespaces and mounts.
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    467, // open_tree_attr
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_fanotify_init,
    libc::SYS_quotactl,
    443, // quotactl_fd
    // The kernel's keys, programs, counters and logs.
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_lookup_dcookie,
    libc::SYS_syslog,
    // The machine.
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_vhangup,
    libc::SYS_nfsservctl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
];

/// Answered as by a kernel that does not have them.
const ABSENT: [libc::c_long; 5] = [
    libc::SYS_clone3,
    libc::SYS_openat2,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
];

/// What sets the mode of a file, and which argument that is.
const MODES: &[(libc::c_long, u32)] = &[
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_chmod, SECOND),
    (libc::SYS_fchmod, SECOND),
    (libc::SYS_fchmodat, THIRD),
    (FCHMODAT2, THIRD),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_creat, SECOND),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mknod, SECOND),
    (libc::SYS_mknodat, THIRD),
];

/// What may make a file while it opens it: where its flags are, and the mode.
const OPENS: &[(libc::c_long, u32, u32)] = &[
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, SECOND, THIRD),
    (libc::SYS_openat, THIRD, FOURTH),
];

/// Puts the filter over this thread and all that descends from it.
pub(super) fn apply() -> Result<(), String> {
    seccompiler::apply_filter(&program()).map_err(|error| format!("seccomp refuses: {error}"))
}

fn program() -> Vec<sock_filter> {
    let refuse = || errno(libc::EPERM);
    let absent = || errno(libc::ENOSYS);
    // Calls of another architecture have other numbers.
    let mut program = vec![step(LOAD, ARCHITECTURE), jump(IF_EQUAL, OURS, 1, 0), absent(), step(LOAD, NUMBER)];
    #[cfg(target_arch = "x86_64")]
    program.extend([jump(IF_AT_LEAST, 0x4000_0000, 0, 1), absent()]);
    for number in REFUSED {
        program.extend([jump(IF_EQUAL, word(*number), 0, 1), refuse()]);
    }
    for number in ABSENT {
        program.extend([jump(IF_EQUAL, word(number), 0, 1), absent()]);
    }
    let looked_at = |number, argument, condition: sock_filter| {
        let begin = [jump(IF_EQUAL, word(number), 0, 4), step(LOAD, argument)];
        begin.into_iter().chain([condition, refuse(), step(LOAD, NUMBER)])
    };
    program.extend(looked_at(libc::SYS_clone, FIRST, jump(IF_ANY_BIT, NAMESPACES, 0, 1)));
    program.extend(looked_at(libc::SYS_ioctl, SECOND, jump(IF_EQUAL, TIOCSTI, 0, 1)));
    program.extend(looked_at(libc::SYS_ioctl, SECOND, jump(IF_EQUAL, TIOCLINUX, 0, 1)));
    for (number, mode) in MODES {
        program.extend(looked_at(*number, *mode, jump(IF_ANY_BIT, BORROWED, 0, 1)));
    }
    for (number, flags, mode) in OPENS {
        program.extend([jump(IF_EQUAL, word(*number), 0, 6), step(LOAD, *flags), jump(IF_ANY_BIT, MAKES, 0, 3)]);
        program.extend([step(LOAD, *mode), jump(IF_ANY_BIT, BORROWED, 0, 1), refuse(), step(LOAD, NUMBER)]);
    }
    // The last question: it needs no number afterwards.
    let count = u8::try_from(FAMILIES.len()).unwrap_or(u8::MAX);
    program.extend([jump(IF_EQUAL, word(libc::SYS_socket), 0, count + 2), step(LOAD, FIRST)]);
    let known = (0..count).rev().zip(FAMILIES).map(|(left, family)| jump(IF_EQUAL, family, left + 1, 0));
    program.extend(known);
    program.extend([errno(libc::EAFNOSUPPORT), step(RETURN, ALLOW)]);
    program
}

fn word(number: libc::c_long) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn errno(code: i32) -> sock_filter {
    step(RETURN, ERRNO | code.unsigned_abs())
}

fn step(code: u16, k: u32) -> sock_filter {
    jump(code, k, 0, 0)
}

fn jump(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

#[cfg(test)]
mod tests;
