/* Takes as much as it gets of what its argument names. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { CHUNK = 1 << 20 };

static void *wait_for_ever(void *nothing) {
    pause();
    return nothing;
}
static int threads(void) {
    pthread_attr_t small;
    pthread_t thread;
    int made = 0;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 65536);
    while (made < 100000 && pthread_create(&thread, &small, wait_for_ever, NULL) == 0) made++;
    printf("%d\n", made);
    return 0;
}
/* RLIMIT_FSIZE ends one such file, so there are many. */
static int memfd(void) {
    static char chunk[CHUNK];
    memset(chunk, 1, CHUNK);
    for (;;) {
        int file = memfd_create("x", 0);
        if (file < 0) return 1;
        for (int i = 0; i < 16; i++)
            if (write(file, chunk, CHUNK) < 0) return 1;
    }
}
static int sysv(void) {
    for (;;) {
        char *memory = shmat(shmget(IPC_PRIVATE, CHUNK, 0600), NULL, 0);
        if (memory == (void *)-1) return 1;
        memset(memory, 1, CHUNK);
    }
}
static int pages(void) {
    for (;;) {
        char *memory = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) return 1;
        mlock(memory, CHUNK);
        memset(memory, 1, CHUNK);
    }
}
static int deep(void) {
    char name[256];
    memset(name, 'x', 255);
    name[255] = 0;
    chdir("/mnt/exercism-iteration");
    while (mkdir(name, 0) == 0 || errno == EEXIST) {
        chmod(name, 0700);
        if (chdir(name) < 0) break;
    }
    return 0;
}
static int inodes(void) {
    char name[64];
    int made = 0;
    for (;; made++) {
        snprintf(name, sizeof name, "/tmp/%d", made);
        if (mknod(name, S_IFREG | 0600, 0) < 0) break;
    }
    printf("%d\n", made);
    return 9;
}

static int socket_for_a_result(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "results.json"};
    return bind(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&address, sizeof address) != 0;
}

int main(int count, char **words) {
    const char *what = count > 1 ? words[1] : "";
    int status = 2;
    if (!strcmp(what, "threads")) status = threads();
    if (!strcmp(what, "memfd")) status = memfd();
    if (!strcmp(what, "sysv")) status = sysv();
    if (!strcmp(what, "pages")) status = pages();
    if (!strcmp(what, "deep")) status = deep();
    if (!strcmp(what, "socket")) status = socket_for_a_result();
    if (!strcmp(what, "inodes")) status = inodes();
    fflush(stdout);
    _exit(status);
}
