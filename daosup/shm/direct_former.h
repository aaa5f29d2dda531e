/* The thread of a form, which makes its frames; direct_form.h says what it may touch. */
#ifndef DAOSUP_DIRECT_FORMER_H
#define DAOSUP_DIRECT_FORMER_H

#include <stdint.h>

/* Of `wanted_ns`: no frame is, or none until a reader that is behind has taken what it is being sent. */
#define FORMER_NEVER INT64_MAX
#define FORMER_WHEN_IDLE (INT64_MAX - 1)

/* Make frames until the form is stopping; the argument is the form. */
void *former_run(void *form);

#endif
