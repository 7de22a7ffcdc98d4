/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * confine PROGRAM [ARGUMENT...]
 *
 * Become PROGRAM, from which no network can be reached: neither by itself nor by anything that it starts, for a filter
 * of system calls is inherited and can never be taken off. In a drill's pod the scratch server, which runs what a dump
 * brings, starts behind it. It needs nothing of the cluster or of the image that it runs in: linked statically, it is
 * copied there. Where the filter cannot be set, it ends with 125 and PROGRAM does not run. */
#include <errno.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#if !defined(__x86_64__) && !defined(__aarch64__)
#error "Elsewhere sockets may be made by socketcall and clone may take its flags as another argument: look first."
#endif

#define NAMESPACES \
    (CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)

static const struct {
    int call;
    int error;
} refused[] = {
    /* A ring makes sockets, connects and sends without any of the calls below. Servers take it for a kernel without. */
    {SCMP_SYS(io_uring_setup), ENOSYS}, {SCMP_SYS(io_uring_enter), ENOSYS}, {SCMP_SYS(io_uring_register), ENOSYS},
    /* Its flags lie in memory, where no filter sees them: C libraries then use clone. */
    {SCMP_SYS(clone3), ENOSYS},
    /* A namespace of one's own makes its owner mighty in it: the largest part of a kernel that others can attack. */
    {SCMP_SYS(unshare), EPERM}, {SCMP_SYS(setns), EPERM},
    /* Into other processes, and to what they have open: their sockets as well. */
    {SCMP_SYS(ptrace), EPERM}, {SCMP_SYS(process_vm_readv), EPERM}, {SCMP_SYS(process_vm_writev), EPERM},
    {SCMP_SYS(pidfd_getfd), EPERM}, {SCMP_SYS(kcmp), EPERM},
    /* Keys of the kernel belong to a number, which servers of other apps on this node have, too. */
    {SCMP_SYS(add_key), EPERM}, {SCMP_SYS(request_key), EPERM}, {SCMP_SYS(keyctl), EPERM},
    /* Programs inside of the kernel, and what helps to break it. */
    {SCMP_SYS(bpf), EPERM}, {SCMP_SYS(perf_event_open), EPERM}, {SCMP_SYS(userfaultfd), EPERM},
};

static int rules(scmp_filter_ctx filter)
{
    /* Every family but sockets of this machine: IPv4, IPv6, netlink, packets, virtual machines, all there will be. */
    const struct scmp_arg_cmp foreign = SCMP_A0_32(SCMP_CMP_NE, AF_UNIX);
    int failed = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1, foreign);
    if (!failed)
        failed = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socketpair), 1, foreign);
    for (unsigned bit = 1; !failed && bit && bit <= NAMESPACES; bit <<= 1)
        if (NAMESPACES & bit)
            failed = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                                      SCMP_A0(SCMP_CMP_MASKED_EQ, bit, bit));
    for (size_t one = 0; !failed && one < sizeof refused / sizeof *refused; one++)
        failed = seccomp_rule_add(filter, SCMP_ACT_ERRNO(refused[one].error), refused[one].call, 0);
    return failed;
}

int main(int count, char **words)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    /* Calls in the manner of another architecture (32 bits, x32) have other numbers: whoever makes one is ended. */
    int failed = filter ? seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) : -ENOMEM;
    if (count < 2) {
        fprintf(stderr, "usage: confine PROGRAM [ARGUMENT...]\n");
        return 125;
    }
    if (!failed)
        failed = rules(filter);
    if (!failed)
        failed = seccomp_load(filter); /* sets no_new_privs first: no program gains anything by its owner's bit */
    if (failed) {
        fprintf(stderr, "confine: no filter can be set: %s\n", strerror(-failed));
        return 125;
    }
    execvp(words[1], words + 1);
    fprintf(stderr, "confine: %s: %s\n", words[1], strerror(errno));
    return errno == ENOENT ? 127 : 126;
}
