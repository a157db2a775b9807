// SPDX-License-Identifier: Apache-2.0
// How long Linux lets a thread keep its core while others want it (sched_setattr(2), slices since Linux 6.12).

#ifndef C_SCHEDULING_H
#define C_SCHEDULING_H

/// The calling thread and those that it starts from now on run briefly and at once: whoever wakes takes the core from one with longer slices.
/// Changes nothing where the kernel has no slices.
void scheduling_answer(void);

/// The calling thread only computes: `SCHED_BATCH`, which takes no core from another when it wakes, with slices in which a hash makes headway.
void scheduling_compute(void);

#endif
