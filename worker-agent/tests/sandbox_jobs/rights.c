/* Tries to have more than it was given, and prints what worked. With an argument: says who it is. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define DENIED(call) (errno = 0, (call) >= 0 ? printf("allowed: %s\n", #call) : ++denied)

static int denied;

static int raise_limit(int resource) {
    struct rlimit limit;
    getrlimit(resource, &limit);
    limit.rlim_max += 1;
    return setrlimit(resource, &limit);
}
static int set_capability(void) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{1u << 21, 1u << 21, 1u << 21}, {0, 0, 0}};
    return syscall(SYS_capset, &header, data);
}
static int fifo_scheduling(void) {
    struct sched_param one = {.sched_priority = 1};
    return sched_setscheduler(0, SCHED_FIFO, &one);
}
static int in_namespace(int flag) {
    long pid = syscall(SYS_clone, flag | 17, 0, 0, 0, 0);
    if (pid == 0) _exit(0);
    return pid;
}
/* The machine's own sockets, by their abstract names: whoever listens is in another network namespace. */
static int abstract_socket(const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int end = socket(AF_UNIX, SOCK_STREAM, 0);
    strcpy(address.sun_path + 1, name);
    return connect(end, (struct sockaddr *)&address, sizeof(sa_family_t) + 1 + strlen(name));
}

int main(int count, char **words) {
    if (count > 1) {
        printf("%d %d\n", geteuid(), getegid());
        fflush(stdout);
        execlp("grep", "grep", "-E", "^Cap(Prm|Eff)", "/proc/self/status", NULL);
        return 1;
    }
    (void)words;
    DENIED(setuid(1000));
    DENIED(setresuid(-1, 1000, -1));
    DENIED(setgid(1000));
    DENIED(setgroups(0, NULL));
    DENIED(set_capability());
    DENIED(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
    DENIED(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 21, 0, 0));
    DENIED(prctl(PR_SET_SECUREBITS, 1));
    DENIED(raise_limit(RLIMIT_NOFILE));
    DENIED(raise_limit(RLIMIT_FSIZE));
    DENIED(raise_limit(RLIMIT_CORE));
    DENIED(raise_limit(RLIMIT_RTPRIO));
    DENIED(raise_limit(RLIMIT_NICE));
    DENIED(fifo_scheduling());
    DENIED(setpriority(PRIO_PROCESS, 0, -1));
    DENIED(in_namespace(CLONE_NEWNS));
    DENIED(in_namespace(CLONE_NEWNET));
    DENIED(in_namespace(CLONE_NEWPID));
    DENIED(mknod("/tmp/disk", S_IFBLK | 0600, 254 << 8));
    DENIED(mknod("/tmp/memory", S_IFCHR | 0600, 1 << 8 | 1));
    DENIED(chown("/tmp", 1000, 1000));
    DENIED(ptrace(PTRACE_ATTACH, getppid() + 100000, 0, 0));
    DENIED(kill(getppid() + 100000, 9));
    DENIED(abstract_socket("trackyard-hostile-test"));
    DENIED(open("/proc/1/root/../../../../etc/shadow", O_RDONLY));
    DENIED(open("/proc/sys/kernel/core_pattern", O_WRONLY));
    DENIED(open("/proc/sys/kernel/hotplug", O_WRONLY));
    DENIED(open("/sys/kernel/uevent_helper", O_WRONLY));
    DENIED(open("/sys/kernel/security", O_RDWR));
    DENIED(open("/sys/fs/cgroup/release_agent", O_WRONLY));
    DENIED(open("/sys/fs/cgroup/cgroup.procs", O_WRONLY));
    DENIED(open("/proc/kmsg", O_RDONLY));
    DENIED(open("/dev/kmsg", O_RDONLY));
    DENIED(open("/dev/mem", O_RDONLY));
    DENIED(open("/dev/vda", O_RDONLY));
    DENIED(open("/dev/rtc0", O_RDONLY));
    DENIED(open("/dev/kvm", O_RDWR));
    DENIED(open("/dev/fuse", O_RDWR));
    DENIED(open("/dev/net/tun", O_RDWR));
    DENIED(open("/dev/loop-control", O_RDWR));
    printf("denied: %d\n", denied);
    return 0;
}
