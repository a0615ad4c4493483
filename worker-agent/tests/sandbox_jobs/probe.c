/* Makes the system calls that a job may not make, and some that it may, and prints what each got. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRY(call) (errno = 0, printf("%s: %s\n", #call, (call) < 0 ? strerrorname_np(errno) : "allowed"), fflush(stdout))

static long call(long number) { return syscall(number, 0, 0, 0, 0, 0, 0); }
static int family(int number) { return socket(number, SOCK_STREAM | SOCK_CLOEXEC, 0); }
static long in_user_namespace(void) {
    long pid = syscall(SYS_clone, CLONE_NEWUSER | 17, 0, 0, 0, 0);
    if (pid == 0) _exit(0);
    return pid;
}
static int traces_its_child(void) {
    int status;
    pid_t pid = fork();
    if (pid == 0) _exit(ptrace(PTRACE_TRACEME, 0, 0, 0) < 0);
    waitpid(pid, &status, 0);
    return status == 0 ? 0 : -1;
}

int main(void) {
    TRY(family(AF_UNIX));
    TRY(family(AF_INET));
    TRY(family(AF_INET6));
    TRY(socket(AF_NETLINK, SOCK_RAW, 0));
    TRY(traces_its_child());
    TRY(family(38)); /* AF_ALG */
    TRY(family(40)); /* AF_VSOCK */
    TRY(socket(AF_PACKET, SOCK_RAW, 0));
    TRY(socket(AF_INET, SOCK_RAW, 1));
    TRY(in_user_namespace());
    TRY(unshare(CLONE_NEWUSER));
    TRY(call(SYS_clone3));
    TRY(call(SYS_setns));
    TRY(call(SYS_mount));
    TRY(call(SYS_fsopen));
    TRY(call(SYS_open_tree));
    TRY(call(SYS_open_by_handle_at));
    TRY(call(SYS_io_uring_setup));
    TRY(call(SYS_bpf));
    TRY(call(SYS_perf_event_open));
    TRY(call(SYS_userfaultfd));
    TRY(call(SYS_keyctl));
    TRY(call(SYS_add_key));
    TRY(call(SYS_clock_settime));
    return 0;
}
