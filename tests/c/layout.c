/* Sizes and offsets of the header's structs, as a C compiler sees them. */
#include <stdio.h>

#include <heimdall_plugin.h>

#define SIZE(type) printf("%s size %zu align %zu\n", #type, sizeof(type), _Alignof(type))
#define FIELD(type, field) printf("%s.%s offset %zu size %zu\n", #type, #field, offsetof(type, field), sizeof(((type *)0)->field))

int main(void) {
    printf("magic 0x%08x abi %d.%d\n", HEIMDALL_PLUGIN_MAGIC, HEIMDALL_PLUGIN_ABI_MAJOR, HEIMDALL_PLUGIN_ABI_MINOR);
    SIZE(hp_info);
    FIELD(hp_info, magic);
    FIELD(hp_info, struct_size);
    FIELD(hp_info, abi_major);
    FIELD(hp_info, abi_minor);
    FIELD(hp_info, name);
    FIELD(hp_info, version);
    FIELD(hp_info, features);
    FIELD(hp_info, errors);
    SIZE(hp_buffer);
    FIELD(hp_buffer, data);
    FIELD(hp_buffer, len);
    FIELD(hp_buffer, capacity);
    SIZE(hp_host);
    FIELD(hp_host, struct_size);
    FIELD(hp_host, reserved);
    FIELD(hp_host, user);
    FIELD(hp_host, log);
    SIZE(hp_call);
    FIELD(hp_call, struct_size);
    FIELD(hp_call, reserved);
    FIELD(hp_call, user);
    FIELD(hp_call, timeout_ms);
    FIELD(hp_call, progress);
    FIELD(hp_call, rows);
    FIELD(hp_call, rows_after_bytes);
    return 0;
}
