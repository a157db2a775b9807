// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "CScheduling.h"

#include <sched.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/// Linux's own (include/uapi/linux/sched/types.h), the first of its versions; Debian 12's headers of glibc have none.
struct attributes {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime;
    uint64_t deadline;
    uint64_t period;
};

/// For SCHED_OTHER and SCHED_BATCH `runtime` is the slice in nanoseconds, 0.1 to 100 ms; a kernel before 6.12 does not look at it.
static void take(int policy, uint64_t slice) {
    struct attributes attributes = {.size = sizeof attributes, .policy = (uint32_t)policy, .runtime = slice};
    if (syscall(SYS_sched_setattr, 0, &attributes, 0) == 0) return;
    // Sandboxes that tell policies apart by the arguments of a system call cannot look into this one's.
    struct sched_param parameters = {.sched_priority = 0};
    (void)sched_setscheduler(0, policy, &parameters);
}

void scheduling_answer(void) { take(SCHED_OTHER, 100000); }

void scheduling_compute(void) { take(SCHED_BATCH, 10000000); }
