#include "cut.h"

#include <string.h>

bool cut_is_possible(const struct cut *self, size_t frame_bytes)
{
    size_t size = self->element_bytes, bytes = size;
    if (size != 1 && size != 2 && size != 4 && size != 8 && size != 16)
        return false;
    for (int axis = 0; axis < CUT_AXES; axis++) {
        size_t length = self->length[axis], first = self->first[axis], count = self->count[axis], step = self->step[axis];
        if (count == 0 || step == 0 || first >= length || count - 1 > (length - 1 - first) / step ||
            __builtin_mul_overflow(bytes, length, &bytes))
            return false;
    }
    return bytes == frame_bytes;
}

size_t cut_bytes(const struct cut *self)
{
    return self->count[0] * self->count[1] * self->count[2] * self->element_bytes;
}

/* With sizes that are constants each element is one load and one store. */
#define PICK(bytes)                                                         \
    for (size_t i = 0; i < count; i++, from += stride, into += (bytes))     \
        memcpy(into, from, (bytes));                                        \
    break

static void pick(unsigned char *into, const unsigned char *from, size_t count, size_t stride, size_t element_bytes)
{
    switch (element_bytes) {
    case 1:
        PICK(1);
    case 2:
        PICK(2);
    case 4:
        PICK(4);
    case 8:
        PICK(8);
    default:
        PICK(16);
    }
}

void cut_out(const struct cut *self, const unsigned char *frame, unsigned char *part)
{
    size_t size = self->element_bytes, row_bytes = self->length[2] * size, plane_bytes = self->length[1] * row_bytes;
    size_t part_row_bytes = self->count[2] * size;

    for (size_t i = 0; i < self->count[0]; i++) {
        const unsigned char *plane = frame + (self->first[0] + i * self->step[0]) * plane_bytes;
        for (size_t j = 0; j < self->count[1]; j++, part += part_row_bytes) {
            const unsigned char *row = plane + (self->first[1] + j * self->step[1]) * row_bytes + self->first[2] * size;
            if (self->step[2] == 1)
                memcpy(part, row, part_row_bytes);
            else
                pick(part, row, self->count[2], self->step[2] * size, size);
        }
    }
}
