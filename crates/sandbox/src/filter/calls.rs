//! Which system calls a confined process may make. What is in no list does not exist for it (`ENOSYS`).

use super::Call;

macro_rules! calls {
    ($($name:ident = $number:ident,)*) => {
        &[$(Call { name: stringify!($name), number: libc::$number },)*]
    };
}

/// Calls that work.
pub(super) const ALLOWED: &[Call] = calls! {
    read = SYS_read, write = SYS_write, readv = SYS_readv, writev = SYS_writev,
    pread64 = SYS_pread64, pwrite64 = SYS_pwrite64, preadv = SYS_preadv, pwritev = SYS_pwritev,
    preadv2 = SYS_preadv2, pwritev2 = SYS_pwritev2, close = SYS_close, lseek = SYS_lseek,
    openat = SYS_openat, openat2 = SYS_openat2, fstat = SYS_fstat, newfstatat = SYS_newfstatat,
    statx = SYS_statx, statfs = SYS_statfs, fstatfs = SYS_fstatfs, faccessat = SYS_faccessat,
    faccessat2 = SYS_faccessat2, readlinkat = SYS_readlinkat, getdents64 = SYS_getdents64,
    getcwd = SYS_getcwd, chdir = SYS_chdir, fchdir = SYS_fchdir, mkdirat = SYS_mkdirat,
    unlinkat = SYS_unlinkat, renameat2 = SYS_renameat2, ftruncate = SYS_ftruncate,
    truncate = SYS_truncate, fallocate = SYS_fallocate, fsync = SYS_fsync,
    fdatasync = SYS_fdatasync, fadvise64 = SYS_fadvise64, readahead = SYS_readahead,
    copy_file_range = SYS_copy_file_range, sendfile = SYS_sendfile, dup = SYS_dup, dup3 = SYS_dup3,
    pipe2 = SYS_pipe2, umask = SYS_umask, close_range = SYS_close_range, mremap = SYS_mremap,
    munmap = SYS_munmap, mprotect = SYS_mprotect, madvise = SYS_madvise, brk = SYS_brk,
    msync = SYS_msync, mincore = SYS_mincore, mlock = SYS_mlock, munlock = SYS_munlock,
    mlock2 = SYS_mlock2, mbind = SYS_mbind, get_mempolicy = SYS_get_mempolicy,
    set_mempolicy = SYS_set_mempolicy, membarrier = SYS_membarrier, pkey_alloc = SYS_pkey_alloc,
    pkey_free = SYS_pkey_free, pkey_mprotect = SYS_pkey_mprotect, exit = SYS_exit,
    exit_group = SYS_exit_group, futex = SYS_futex, futex_waitv = SYS_futex_waitv,
    set_robust_list = SYS_set_robust_list, get_robust_list = SYS_get_robust_list,
    set_tid_address = SYS_set_tid_address, rseq = SYS_rseq, sched_yield = SYS_sched_yield,
    sched_getaffinity = SYS_sched_getaffinity, sched_getparam = SYS_sched_getparam,
    sched_getscheduler = SYS_sched_getscheduler,
    sched_get_priority_max = SYS_sched_get_priority_max,
    sched_get_priority_min = SYS_sched_get_priority_min,
    sched_rr_get_interval = SYS_sched_rr_get_interval, sched_getattr = SYS_sched_getattr,
    getcpu = SYS_getcpu, rt_sigaction = SYS_rt_sigaction, rt_sigprocmask = SYS_rt_sigprocmask,
    rt_sigreturn = SYS_rt_sigreturn, rt_sigsuspend = SYS_rt_sigsuspend,
    rt_sigpending = SYS_rt_sigpending, rt_sigtimedwait = SYS_rt_sigtimedwait,
    sigaltstack = SYS_sigaltstack, restart_syscall = SYS_restart_syscall,
    nanosleep = SYS_nanosleep, clock_nanosleep = SYS_clock_nanosleep,
    clock_gettime = SYS_clock_gettime, clock_getres = SYS_clock_getres,
    gettimeofday = SYS_gettimeofday, times = SYS_times, getrusage = SYS_getrusage,
    sysinfo = SYS_sysinfo, uname = SYS_uname, getrandom = SYS_getrandom, getpid = SYS_getpid,
    getppid = SYS_getppid, gettid = SYS_gettid, getuid = SYS_getuid, geteuid = SYS_geteuid,
    getgid = SYS_getgid, getegid = SYS_getegid, getgroups = SYS_getgroups,
    getresuid = SYS_getresuid, getresgid = SYS_getresgid, getpgid = SYS_getpgid,
    getsid = SYS_getsid, getpriority = SYS_getpriority, setitimer = SYS_setitimer,
    getitimer = SYS_getitimer, timer_create = SYS_timer_create, timer_settime = SYS_timer_settime,
    timer_gettime = SYS_timer_gettime, timer_getoverrun = SYS_timer_getoverrun,
    timer_delete = SYS_timer_delete, timerfd_create = SYS_timerfd_create,
    timerfd_settime = SYS_timerfd_settime, timerfd_gettime = SYS_timerfd_gettime,
    epoll_create1 = SYS_epoll_create1, epoll_ctl = SYS_epoll_ctl, epoll_pwait = SYS_epoll_pwait,
    epoll_pwait2 = SYS_epoll_pwait2, ppoll = SYS_ppoll, pselect6 = SYS_pselect6,
    eventfd2 = SYS_eventfd2, signalfd4 = SYS_signalfd4, wait4 = SYS_wait4, waitid = SYS_waitid,
    sendto = SYS_sendto, recvfrom = SYS_recvfrom, sendmsg = SYS_sendmsg, recvmsg = SYS_recvmsg,
    getsockname = SYS_getsockname, getpeername = SYS_getpeername, getsockopt = SYS_getsockopt,
    shutdown = SYS_shutdown, capget = SYS_capget, getxattr = SYS_getxattr,
    lgetxattr = SYS_lgetxattr, fgetxattr = SYS_fgetxattr, listxattr = SYS_listxattr,
    llistxattr = SYS_llistxattr, flistxattr = SYS_flistxattr,
};

/// As [`ALLOWED`]: calls that only the older architecture has.
#[cfg(target_arch = "x86_64")]
pub(super) const ALLOWED_OLD: &[Call] = calls! {
    open = SYS_open, stat = SYS_stat, lstat = SYS_lstat, access = SYS_access,
    readlink = SYS_readlink, getdents = SYS_getdents, mkdir = SYS_mkdir, rmdir = SYS_rmdir,
    unlink = SYS_unlink, rename = SYS_rename, renameat = SYS_renameat, creat = SYS_creat,
    dup2 = SYS_dup2, pipe = SYS_pipe, poll = SYS_poll, select = SYS_select,
    epoll_create = SYS_epoll_create, epoll_wait = SYS_epoll_wait, eventfd = SYS_eventfd,
    signalfd = SYS_signalfd, alarm = SYS_alarm, pause = SYS_pause, time = SYS_time,
    getpgrp = SYS_getpgrp, getrlimit = SYS_getrlimit,
};

/// As [`ALLOWED`]: this architecture has no older calls.
#[cfg(not(target_arch = "x86_64"))]
pub(super) const ALLOWED_OLD: &[Call] = &[];

/// Calls that give `EPERM`: an honest library may try them and go on without.
pub(super) const REFUSED: &[Call] = calls! {
    socket = SYS_socket, socketpair = SYS_socketpair, bind = SYS_bind, connect = SYS_connect,
    listen = SYS_listen, accept = SYS_accept, accept4 = SYS_accept4, setsockopt = SYS_setsockopt,
    sendmmsg = SYS_sendmmsg, recvmmsg = SYS_recvmmsg, symlinkat = SYS_symlinkat,
    linkat = SYS_linkat, mknodat = SYS_mknodat, memfd_create = SYS_memfd_create,
    memfd_secret = SYS_memfd_secret, tkill = SYS_tkill, pidfd_open = SYS_pidfd_open,
    pidfd_send_signal = SYS_pidfd_send_signal, setpriority = SYS_setpriority,
    sched_setscheduler = SYS_sched_setscheduler, sched_setparam = SYS_sched_setparam,
    sched_setattr = SYS_sched_setattr, ioprio_set = SYS_ioprio_set, setpgid = SYS_setpgid,
    setsid = SYS_setsid, sethostname = SYS_sethostname, setdomainname = SYS_setdomainname,
    fchown = SYS_fchown, fchownat = SYS_fchownat, setxattr = SYS_setxattr,
    lsetxattr = SYS_lsetxattr, fsetxattr = SYS_fsetxattr, removexattr = SYS_removexattr,
    lremovexattr = SYS_lremovexattr, fremovexattr = SYS_fremovexattr, shmget = SYS_shmget,
    shmat = SYS_shmat, shmctl = SYS_shmctl, shmdt = SYS_shmdt, msgget = SYS_msgget,
    msgsnd = SYS_msgsnd, msgrcv = SYS_msgrcv, msgctl = SYS_msgctl, semget = SYS_semget,
    semop = SYS_semop, semctl = SYS_semctl, semtimedop = SYS_semtimedop, mq_open = SYS_mq_open,
    mq_unlink = SYS_mq_unlink, mq_timedsend = SYS_mq_timedsend,
    mq_timedreceive = SYS_mq_timedreceive, mq_notify = SYS_mq_notify,
    mq_getsetattr = SYS_mq_getsetattr, inotify_init1 = SYS_inotify_init1,
    inotify_add_watch = SYS_inotify_add_watch, fanotify_init = SYS_fanotify_init,
    fanotify_mark = SYS_fanotify_mark, syslog = SYS_syslog, seccomp = SYS_seccomp,
    landlock_create_ruleset = SYS_landlock_create_ruleset,
    landlock_add_rule = SYS_landlock_add_rule, landlock_restrict_self = SYS_landlock_restrict_self,
    clock_settime = SYS_clock_settime, clock_adjtime = SYS_clock_adjtime, adjtimex = SYS_adjtimex,
    settimeofday = SYS_settimeofday, vhangup = SYS_vhangup, capset = SYS_capset,
};

/// As [`REFUSED`]: calls that only the older architecture has.
#[cfg(target_arch = "x86_64")]
pub(super) const REFUSED_OLD: &[Call] = calls! {
    symlink = SYS_symlink, link = SYS_link, mknod = SYS_mknod, fork = SYS_fork, vfork = SYS_vfork,
    chown = SYS_chown, lchown = SYS_lchown, inotify_init = SYS_inotify_init,
    setrlimit = SYS_setrlimit,
};

/// As [`REFUSED`]: this architecture has no older calls.
#[cfg(not(target_arch = "x86_64"))]
pub(super) const REFUSED_OLD: &[Call] = &[];

/// Calls that change who may read a file and when it was changed: they give `EPERM` where the
/// process has the same user as whoever owns the data.
pub(super) const ATTRIBUTES: &[Call] = calls! {
    fchmod = SYS_fchmod, fchmodat = SYS_fchmodat, utimensat = SYS_utimensat,
};

/// As [`ATTRIBUTES`]: calls that only the older architecture has.
#[cfg(target_arch = "x86_64")]
pub(super) const ATTRIBUTES_OLD: &[Call] = calls! {
    chmod = SYS_chmod, utime = SYS_utime, utimes = SYS_utimes, futimesat = SYS_futimesat,
    fchmodat2 = SYS_fchmodat2,
};

/// As [`ATTRIBUTES`]: this architecture has no older calls.
#[cfg(not(target_arch = "x86_64"))]
pub(super) const ATTRIBUTES_OLD: &[Call] = &[];

/// Calls that no honest library makes: the warden hears of them and ends the process.
pub(super) const FATAL: &[Call] = calls! {
    ptrace = SYS_ptrace, process_vm_readv = SYS_process_vm_readv,
    process_vm_writev = SYS_process_vm_writev, pidfd_getfd = SYS_pidfd_getfd,
    process_madvise = SYS_process_madvise, process_mrelease = SYS_process_mrelease,
    kcmp = SYS_kcmp, io_uring_setup = SYS_io_uring_setup, io_uring_enter = SYS_io_uring_enter,
    io_uring_register = SYS_io_uring_register, bpf = SYS_bpf,
    perf_event_open = SYS_perf_event_open, userfaultfd = SYS_userfaultfd, unshare = SYS_unshare,
    setns = SYS_setns, mount = SYS_mount, umount2 = SYS_umount2, pivot_root = SYS_pivot_root,
    chroot = SYS_chroot, fsopen = SYS_fsopen, fsconfig = SYS_fsconfig, fsmount = SYS_fsmount,
    fspick = SYS_fspick, open_tree = SYS_open_tree, move_mount = SYS_move_mount,
    mount_setattr = SYS_mount_setattr, add_key = SYS_add_key, request_key = SYS_request_key,
    keyctl = SYS_keyctl, init_module = SYS_init_module, finit_module = SYS_finit_module,
    delete_module = SYS_delete_module, kexec_load = SYS_kexec_load,
    kexec_file_load = SYS_kexec_file_load, name_to_handle_at = SYS_name_to_handle_at,
    open_by_handle_at = SYS_open_by_handle_at, setuid = SYS_setuid, setgid = SYS_setgid,
    setreuid = SYS_setreuid, setregid = SYS_setregid, setresuid = SYS_setresuid,
    setresgid = SYS_setresgid, setfsuid = SYS_setfsuid, setfsgid = SYS_setfsgid,
    setgroups = SYS_setgroups, personality = SYS_personality, swapon = SYS_swapon,
    swapoff = SYS_swapoff, reboot = SYS_reboot, acct = SYS_acct, quotactl = SYS_quotactl,
    quotactl_fd = SYS_quotactl_fd, move_pages = SYS_move_pages, migrate_pages = SYS_migrate_pages,
};

/// As [`FATAL`]: calls that only the older architecture has.
#[cfg(target_arch = "x86_64")]
pub(super) const FATAL_OLD: &[Call] = calls! {
    modify_ldt = SYS_modify_ldt, ioperm = SYS_ioperm, iopl = SYS_iopl, uselib = SYS_uselib,

};

/// As [`FATAL`]: this architecture has no older calls.
#[cfg(not(target_arch = "x86_64"))]
pub(super) const FATAL_OLD: &[Call] = &[];

/// Calls that are judged by their arguments.
pub(super) const JUDGED: &[Call] = calls! {
    clone = SYS_clone, prctl = SYS_prctl, ioctl = SYS_ioctl, fcntl = SYS_fcntl, mmap = SYS_mmap,
    kill = SYS_kill, tgkill = SYS_tgkill, rt_sigqueueinfo = SYS_rt_sigqueueinfo,
    rt_tgsigqueueinfo = SYS_rt_tgsigqueueinfo, prlimit64 = SYS_prlimit64,
    sched_setaffinity = SYS_sched_setaffinity, execve = SYS_execve, execveat = SYS_execveat,
};

/// As [`JUDGED`]: calls that only the older architecture has.
#[cfg(target_arch = "x86_64")]
pub(super) const JUDGED_OLD: &[Call] = calls! {
    arch_prctl = SYS_arch_prctl,
};

/// As [`JUDGED`]: this architecture has no older calls.
#[cfg(not(target_arch = "x86_64"))]
pub(super) const JUDGED_OLD: &[Call] = &[];
