/* A small libnvidia-ml.so.1: cards that behave as the environment says, for the real Python wrappers.
 *
 * NVML_CARDS=2            how many cards (at most 4)
 * NVML_LACKS=1:energy,..  what a card does not support (names: see `is_listed` calls)
 * NVML_FAILS=0:sm_clock   what fails with an unknown error
 * NVML_LOST=1@0.5         the card is lost this many seconds after nvmlInit
 * NVML_MIG=0              the card is cut into two instances
 * NVML_XID=0:79@0.3       the card reports this error after so many seconds
 * NVML_INIT=9             nvmlInit gives this error
 * NVML_SLOW_MS=50         how long reading the power takes
 *
 * Values are known: card n draws 100 * (n + 1) W, so its energy grows by as many mJ a millisecond.
 * Structures and codes as in nvml.h (https://docs.nvidia.com/deploy/nvml-api/); with -DOLD_DRIVER the
 * functions that older drivers lack are missing.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SUCCESS = 0, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, TOO_SMALL = 7, TIMED_OUT = 10, LOST = 15, UNKNOWN = 999 };
enum { MOST_CARDS = 4, INSTANCES = 2 };

typedef struct { unsigned card; int instance; } device; /* instance -1: the card itself */

static device cards[MOST_CARDS], slices[MOST_CARDS][INSTANCES];
static double started;
static unsigned xid_told;

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec + at.tv_nsec / 1e9;
}

static void sleep_ms(double ms) {
    struct timespec span = {(time_t)(ms / 1e3), (long)(fmod(ms, 1e3) * 1e6)};
    nanosleep(&span, NULL);
}

static double number(const char *variable, double otherwise) {
    const char *text = getenv(variable);
    return text && *text ? atof(text) : otherwise;
}

static unsigned count(void) { return (unsigned)number("NVML_CARDS", 2); }

/* Whether "CARD:NAME" is in a list with commas between. */
static int is_listed(const char *variable, unsigned card, const char *name) {
    const char *list = getenv(variable);
    char wanted[64];
    size_t length = (size_t)snprintf(wanted, sizeof wanted, "%u:%s", card, name);
    for (const char *at = list; at && *at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (!strncmp(at, wanted, length) && (at[length] == ',' || !at[length])) return 1;
    return 0;
}

static int is_lost(unsigned card) {
    unsigned which;
    double after;
    const char *text = getenv("NVML_LOST");
    return text && sscanf(text, "%u@%lf", &which, &after) == 2 && which == card && now() - started >= after;
}

static int is_mig(unsigned card) {
    const char *text = getenv("NVML_MIG");
    return text && *text && (unsigned)atoi(text) == card;
}

/* What asking a device for something gives, before there is a value. */
static int state(const device *d, const char *name) {
    if (is_lost(d->card)) return LOST;
    if (is_listed("NVML_LACKS", d->card, name)) return NOT_SUPPORTED;
    return is_listed("NVML_FAILS", d->card, name) ? UNKNOWN : SUCCESS;
}

static int of_card_only(const device *d, const char *name) {
    return d->instance >= 0 ? NOT_SUPPORTED : state(d, name);
}

#define GIVE(code, place, value) do { int code_ = (code); if (!code_) *(place) = (value); return code_; } while (0)

static unsigned power_mw(const device *d) { return 100000 * (d->card + 1); }

int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    started = now();
    for (unsigned n = 0; n < MOST_CARDS; n++) {
        cards[n] = (device){n, -1};
        for (int i = 0; i < INSTANCES; i++) slices[n][i] = (device){n, i};
    }
    return (int)number("NVML_INIT", 0);
}

int nvmlShutdown(void) { return SUCCESS; }

const char *nvmlErrorString(int code) { return code == 9 ? "Driver Not Loaded" : "Some Error"; }

int nvmlSystemGetDriverVersion(char *text, unsigned length) {
    snprintf(text, length, "580.95.05");
    return SUCCESS;
}

int nvmlDeviceGetCount_v2(unsigned *found) { *found = count(); return SUCCESS; }

int nvmlDeviceGetHandleByIndex_v2(unsigned index, device **found) {
    if (index >= count()) return INVALID;
    GIVE(is_lost(index) ? LOST : SUCCESS, found, &cards[index]);
}

int nvmlDeviceGetUUID(device *d, char *text, unsigned length) {
    if (d->instance < 0) snprintf(text, length, "GPU-%u0000000-aaaa", d->card);
    else snprintf(text, length, "MIG-%u%d000000-bbbb", d->card, d->instance);
    return SUCCESS;
}

int nvmlDeviceGetName(device *d, char *text, unsigned length) {
    snprintf(text, length, d->instance < 0 ? "Test Card %c" : "Test Card %c MIG 1g", 'A' + (int)d->card);
    return SUCCESS;
}

int nvmlDeviceGetMigMode(device *d, unsigned *current, unsigned *pending) {
    *current = *pending = (unsigned)is_mig(d->card);
    return SUCCESS;
}

int nvmlDeviceGetMaxMigDeviceCount(device *d, unsigned *most) { GIVE(state(d, "mig"), most, 7); }

int nvmlDeviceGetMigDeviceHandleByIndex(device *d, unsigned index, device **found) {
    if (index >= 2 * INSTANCES || index % 2) return NOT_FOUND; /* places may be empty */
    *found = &slices[d->card][index / 2];
    return SUCCESS;
}

int nvmlDeviceGetGpuInstanceId(device *d, unsigned *id) { *id = 7 + (unsigned)d->instance; return SUCCESS; }

int nvmlDeviceGetEnforcedPowerLimit(device *d, unsigned *mw) { GIVE(of_card_only(d, "limit"), mw, 700000); }

typedef struct { unsigned gpu, memory; } rates;
int nvmlDeviceGetUtilizationRates(device *d, rates *found) {
    GIVE(is_mig(d->card) ? NOT_SUPPORTED : state(d, "utilisation"), found, ((rates){40 + d->card, 20 + d->card}));
}

typedef struct { unsigned long long total, free, used; } memory;
int nvmlDeviceGetMemoryInfo(device *d, memory *found) {
    GIVE(state(d, "memory"), found, ((memory){80ull << 30, 60ull << 30, 20ull << 30}));
}

int nvmlDeviceGetPowerUsage(device *d, unsigned *mw) {
    sleep_ms(number("NVML_SLOW_MS", 0));
    GIVE(of_card_only(d, "power"), mw, power_mw(d));
}

int nvmlDeviceGetTotalEnergyConsumption(device *d, unsigned long long *mj) {
    GIVE(of_card_only(d, "energy"), mj, 1000000 + (unsigned long long)((now() - started) * power_mw(d)));
}

int nvmlDeviceGetClockInfo(device *d, int kind, unsigned *mhz) {
    GIVE(of_card_only(d, kind == 1 ? "sm_clock" : "memory_clock"), mhz, kind == 1 ? 1980 : 2619);
}

int nvmlDeviceGetTemperature(device *d, unsigned sensor, unsigned *c) {
    (void)sensor;
    GIVE(of_card_only(d, "temperature"), c, 50 + d->card);
}

int nvmlDeviceGetCurrentClocksThrottleReasons(device *d, unsigned long long *bits) {
    GIVE(of_card_only(d, "throttle"), bits, d->card ? 0x1 : 0x4);
}

#ifndef OLD_DRIVER
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } memory_v2;
int nvmlDeviceGetMemoryInfo_v2(device *d, memory_v2 *found) {
    if (found->version != 0x02000028) return 25;
    GIVE(state(d, "memory"), found, ((memory_v2){found->version, 80ull << 30, 1ull << 30, 60ull << 30, 19ull << 30}));
}

typedef struct { unsigned version, sensor; int c; } temperature;
int nvmlDeviceGetTemperatureV(device *d, temperature *found) {
    if (found->version != 0x100000C) return 25;
    GIVE(of_card_only(d, "temperature"), &found->c, (int)(50 + d->card));
}

int nvmlDeviceGetCurrentClocksEventReasons(device *d, unsigned long long *bits) {
    return nvmlDeviceGetCurrentClocksThrottleReasons(d, bits);
}
#endif

typedef struct { unsigned long long reference, violation; } violation;
int nvmlDeviceGetViolationStatus(device *d, int policy, violation *found) {
    unsigned long long ns = policy ? 0 : (unsigned long long)((now() - started) * 0.25e9); /* a quarter: power */
    GIVE(of_card_only(d, "violation"), found, ((violation){0, ns}));
}

int nvmlDeviceGetPcieThroughput(device *d, int direction, unsigned *kb_s) {
    int code = of_card_only(d, "pcie");
    if (!code) sleep_ms(20);
    GIVE(code, kb_s, direction ? 2000 : 1000);
}

typedef union { double d; unsigned ui; unsigned long ul; unsigned long long ull; long long sll; } value;
typedef struct { uint32_t field, scope; int64_t at, latency; unsigned type; int code; value value; } field;

static void give_field(const device *d, field *f) {
    f->code = SUCCESS;
    f->type = 3;
    switch (f->field) {
    case 186: f->code = state(d, "power_instant"); f->type = 1; f->value.ui = power_mw(d) + 500; break;
    case 82: f->code = state(d, "memory_temperature"); f->type = 1; f->value.ui = 60; break;
    case 94: f->value.ull = 3; break;
    case 138: case 139:
        f->code = f->scope != UINT32_MAX ? INVALID : state(d, "nvlink");
        f->value.ull = f->field * 1000ull;
        break;
    default: f->code = NOT_SUPPORTED;
    }
}

int nvmlDeviceGetFieldValues(device *d, int count, field *fields) {
    int code = of_card_only(d, "fields");
    for (int n = 0; !code && n < count; n++) give_field(d, &fields[n]);
    return code;
}

int nvmlDeviceGetTotalEccErrors(device *d, int kind, int since, unsigned long long *errors) {
    (void)since;
    GIVE(of_card_only(d, "ecc"), errors, kind ? 0 : 12);
}

typedef struct { unsigned pid; unsigned long long bytes; unsigned gpu_instance, compute_instance; } process;
int nvmlDeviceGetComputeRunningProcesses_v3(device *d, unsigned *count, process *found) {
    int code = state(d, "processes");
    if (code) return code;
    if (!found || *count < 2) { *count = 2; return TOO_SMALL; }
    found[0] = (process){4242, 8ull << 30, UINT32_MAX, UINT32_MAX};
    found[1] = (process){4343, UINT64_MAX, UINT32_MAX, UINT32_MAX}; /* the driver does not say */
    *count = 2;
    return SUCCESS;
}

static unsigned listening; /* bits of the cards whose errors are wanted */
int nvmlEventSetCreate(void **set) { *set = &listening; return SUCCESS; }
int nvmlEventSetFree(void *set) { (void)set; return SUCCESS; }
int nvmlDeviceRegisterEvents(device *d, unsigned long long kinds, void *set) {
    (void)set;
    int code = kinds != 8 ? INVALID : state(d, "events");
    if (!code) listening |= 1u << d->card;
    return code;
}

typedef struct { device *device; unsigned long long kind, data; unsigned gpu_instance, compute_instance; } event;
int nvmlEventSetWait_v2(void *set, event *found, unsigned most_ms) {
    unsigned card, code;
    double after, until = now() + most_ms / 1e3;
    const char *text = getenv("NVML_XID");
    (void)set;
    if (text && !xid_told && sscanf(text, "%u:%u@%lf", &card, &code, &after) == 3 && listening >> card & 1) {
        while (now() < until && now() - started < after) sleep_ms(5);
        if (now() - started >= after) {
            xid_told = 1;
            *found = (event){&cards[card], 8, code, UINT32_MAX, UINT32_MAX};
            return SUCCESS;
        }
        return TIMED_OUT;
    }
    sleep_ms(most_ms);
    return TIMED_OUT;
}

typedef struct { unsigned version, is_supported; } gpm_support;
int nvmlGpmQueryDeviceSupport(device *d, gpm_support *found) {
    GIVE(is_lost(d->card) ? LOST : SUCCESS, &found->is_supported, !is_listed("NVML_LACKS", d->card, "gpm"));
}

typedef struct { double at; int instance; } gpm_sample;
int nvmlGpmSampleAlloc(gpm_sample **found) { *found = calloc(1, sizeof **found); return SUCCESS; }
int nvmlGpmSampleFree(gpm_sample *sample) { free(sample); return SUCCESS; }
int nvmlGpmSampleGet(device *d, gpm_sample *sample) {
    GIVE(state(d, "gpm"), sample, ((gpm_sample){now(), -1}));
}
int nvmlGpmMigSampleGet(device *d, unsigned instance, gpm_sample *sample) {
    GIVE(state(d, "gpm"), sample, ((gpm_sample){now(), (int)instance}));
}

typedef struct { unsigned id; int code; double value; char *name, *longer, *unit; } gpm_metric;
typedef struct { unsigned version, count; gpm_sample *before, *after; gpm_metric metrics[477]; } gpm_metrics;
int nvmlGpmMetricsGet(gpm_metrics *asked) {
    if (asked->version != 1 || asked->after->at < asked->before->at) return INVALID;
    for (unsigned n = 0; n < asked->count; n++) {
        gpm_metric *m = &asked->metrics[n];
        m->code = m->id == 3 ? NOT_SUPPORTED : SUCCESS;          /* occupancy is not to be had */
        m->value = m->id == 10 ? NAN : m->id + 0.5 + (asked->after->instance >= 0 ? 50 : 0);
    }
    return SUCCESS;
}
