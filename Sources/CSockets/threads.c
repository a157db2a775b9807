// SPDX-License-Identifier: Apache-2.0
// Named threads, and a latch with a time limit.

#define _GNU_SOURCE
#include "CSockets.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct thread_latch {
    sem_t semaphore;
};

thread_latch *thread_latch_create(void) {
    thread_latch *latch = calloc(1, sizeof *latch);
    if (latch && sem_init(&latch->semaphore, 0, 0)) {
        free(latch);
        return NULL;
    }
    return latch;
}

void thread_latch_free(thread_latch *latch) {
    sem_destroy(&latch->semaphore);
    free(latch);
}

void thread_latch_release(thread_latch *latch) {
    sem_post(&latch->semaphore);
}

bool thread_latch_wait(thread_latch *latch, unsigned milliseconds) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += milliseconds / 1000;
    until.tv_nsec += (long)(milliseconds % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec += 1;
    }
    int failed;
    do {
        failed = sem_clockwait(&latch->semaphore, CLOCK_MONOTONIC, &until);
    } while (failed && errno == EINTR);
    return !failed;
}

static _Thread_local uintptr_t role_of_this_thread;

uintptr_t thread_role(void) {
    return role_of_this_thread;
}

void thread_set_role(uintptr_t role) {
    role_of_this_thread = role;
}

typedef struct {
    void (*body)(void *);
    void *context;
} thread_work;

static void *run_thread(void *argument) {
    thread_work work = *(thread_work *)argument;
    free(argument);
    work.body(work.context);
    return NULL;
}

int thread_start(const char *name, void (*body)(void *), void *context) {
    thread_work *work = malloc(sizeof *work);
    if (!work) return ENOMEM;
    *work = (thread_work){body, context};
    pthread_t thread;
    int error = pthread_create(&thread, NULL, run_thread, work);
    if (error) {
        free(work);
        return error;
    }
    // 15 characters and the end (pthread_setname_np(3)).
    char shortened[16];
    strncpy(shortened, name, sizeof shortened - 1);
    shortened[sizeof shortened - 1] = 0;
    pthread_setname_np(thread, shortened);
    pthread_detach(thread);
    return 0;
}
