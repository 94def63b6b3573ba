use super::*;

/// What the filter answers to a system call: a small machine for the program, as the kernel has one.
fn answer(architecture: u32, number: u32, arguments: [u64; 4]) -> u32 {
    let program = program();
    let (mut at, mut held) = (0, 0);
    loop {
        let sock_filter { code, jt, jf, k } = program[at];
        at += 1;
        let truth = match code {
            LOAD => {
                held = match k {
                    NUMBER => number,
                    ARCHITECTURE => architecture,
                    FIRST => arguments[0] as u32,
                    SECOND => arguments[1] as u32,
                    THIRD => arguments[2] as u32,
                    FOURTH => arguments[3] as u32,
                    other => panic!("nothing is at {other}"),
                };
                continue;
            }
            IF_EQUAL => held == k,
            IF_ANY_BIT => held & k != 0,
            0x35 => held >= k,
            RETURN => return k,
            other => panic!("{other:#x} is not made here"),
        };
        at += usize::from(if truth { jt } else { jf });
    }
}

fn ours(number: libc::c_long, arguments: [u64; 2]) -> u32 {
    answer(OURS, u32::try_from(number).unwrap(), [arguments[0], arguments[1], 0, 0])
}

#[test]
fn what_is_refused_is_refused_and_the_rest_is_allowed() {
    for number in REFUSED {
        assert_eq!(ours(*number, [0, 0]), ERRNO | 1, "{number}");
    }
    for number in ABSENT {
        assert_eq!(ours(number, [0, 0]), ERRNO | 38, "{number}");
    }
    for number in
        [libc::SYS_read, libc::SYS_openat, libc::SYS_execve, libc::SYS_prctl, libc::SYS_kill, libc::SYS_connect]
    {
        assert_eq!(ours(number, [0, 0]), ALLOW, "{number}");
    }
}

#[test]
fn what_depends_on_arguments_is_refused_for_those_alone() {
    let check = |number, arguments, expected: u32| {
        assert_eq!(ours(number, arguments), expected, "{number} {arguments:x?}");
    };
    let (allowed, refused, no_family) = (ALLOW, ERRNO | 1, ERRNO | 97);
    check(libc::SYS_clone, [0x0120_0011, 0], allowed);
    check(libc::SYS_clone, [0x003d_0f00, 0], allowed);
    for flag in [0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000] {
        check(libc::SYS_clone, [flag | 17, 0], refused);
    }
    check(libc::SYS_ioctl, [0, 0x5401], allowed);
    check(libc::SYS_ioctl, [0, 0x5412], refused);
    check(libc::SYS_ioctl, [0, 0x541c], refused);
    // The kernel looks at 32 bits of it, and so must we.
    check(libc::SYS_ioctl, [0, 0xffff_ffff_0000_5412], refused);
    for family in [1, 2, 10, 16] {
        check(libc::SYS_socket, [family, 0], allowed);
    }
    // Packets, algorithms, virtual machines, Bluetooth, and what does not exist.
    for family in [17, 38, 40, 31, 0, 4_000_000_000] {
        check(libc::SYS_socket, [family, 0], no_family);
    }
}

#[test]
fn no_file_is_made_one_that_runs_as_its_owner() {
    let mode = |number: libc::c_long, at: usize, mode: u64| {
        let mut arguments = [0; 4];
        arguments[at] = mode;
        answer(OURS, u32::try_from(number).unwrap(), arguments)
    };
    let all = [
        #[cfg(target_arch = "x86_64")]
        (libc::SYS_chmod, 1),
        (libc::SYS_fchmod, 1),
        (libc::SYS_fchmodat, 2),
        (FCHMODAT2, 2),
        #[cfg(target_arch = "x86_64")]
        (libc::SYS_creat, 1),
        #[cfg(target_arch = "x86_64")]
        (libc::SYS_mknod, 1),
        (libc::SYS_mknodat, 2),
    ];
    for (number, at) in all {
        assert_eq!(mode(number, at, 0o1777), ALLOW, "{number}");
        for bits in [0o4755, 0o2755, 0o6000] {
            assert_eq!(mode(number, at, bits), ERRNO | 1, "{number}");
        }
    }
}

#[test]
fn no_file_is_opened_into_being_one_that_runs_as_its_owner() {
    let opened = |number: libc::c_long, at: usize, flags: libc::c_int, mode: u64| {
        let mut arguments = [0; 4];
        (arguments[at], arguments[at + 1]) = (flags as u64, mode);
        answer(OURS, u32::try_from(number).unwrap(), arguments)
    };
    let all = [
        #[cfg(target_arch = "x86_64")]
        (libc::SYS_open, 1),
        (libc::SYS_openat, 2),
    ];
    for (number, at) in all {
        for flags in [libc::O_CREAT | libc::O_WRONLY, libc::O_TMPFILE | libc::O_RDWR] {
            assert_eq!(opened(number, at, flags, 0o1777), ALLOW, "{number}");
            for bits in [0o4755, 0o2755, 0o6000] {
                assert_eq!(opened(number, at, flags, bits), ERRNO | 1, "{number}");
            }
        }
        // Nothing is made, so the mode is whatever lay there.
        for flags in [libc::O_RDONLY, libc::O_DIRECTORY | libc::O_CLOEXEC] {
            assert_eq!(opened(number, at, flags, 0o6755), ALLOW, "{number}");
        }
    }
}

#[test]
fn calls_of_another_architecture_do_not_exist() {
    assert_eq!(answer(0x4000_0003, 26, [0; 4]), ERRNO | 38);
    assert_eq!(answer(0, 0, [0; 4]), ERRNO | 38);
    #[cfg(target_arch = "x86_64")]
    assert_eq!(answer(OURS, 0x4000_0000 | 101, [0; 4]), ERRNO | 38);
}
