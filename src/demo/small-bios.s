# As much of a BIOS as the guest in ordered-writer.s needs, for disks on virtio-blk: INT 13h reads and writes sectors, and the timer's
# interrupts are counted. It starts that guest as SeaBIOS does, from the same bytes, in a hundredth of SeaBIOS's time, and a write takes
# a fiftieth (SeaBIOS enters 32-bit mode for each). It must not do more: who needs power management, hot-plug or another bus takes SeaBIOS.
#
# It is the end of an image of 64 KiB that lies at 0xf0000 (and below 4 GiB, where the processor starts); the guest's option ROM is the
# beginning. It drives each disk through the legacy interface of "Virtual I/O Device (VIRTIO) Version 1.0", with no feature taken, so
# that QEMU flushes after each write. It knows -machine pc: PCI interrupts are routed by its PIIX3, all to IRQ 11.
#
# Assembled by scripts/assemble-guest.ts into small-bios.generated.ts, which a test compares with this file.

        .code16
        .text
        .globl  _start

        .set    PNP_AT, 0x1a            # where an option ROM names its expansion header, and that header its bootstrap entry
        .set    TICKS, 0x46c

        # Memory, in segment 0.
        .set    PORT_OF, 0x600          # I/O port of disk i, in the order of the PCI bus
        .set    AVAILABLE_OF, 0x620     # where disk i's ring of requests is in its segment
        .set    USED_OF, 0x640          # and that of what it has done
        .set    DISKS_END, 0x660        # twice the number of disks
        .set    HEADER, 0x670           # of a request: 16 bytes
        .set    STATUS, 0x680           # of a request: 1 byte
        .set    STACK, 0x7a00

        # Disk i's queue, of up to 256 descriptors in 3 pages.
        .set    QUEUES, 0x1000          # segment of the first
        .set    QUEUE, 0x300            # from one to the next, in paragraphs

        .set    LINT0, 0xfee00350       # register of the local APIC
        .set    CONFIG_ADDRESS, 0xcf8
        .set    CONFIG_DATA, 0xcfc
        .set    VIRTIO_BLK, 0x10011af4  # device and vendor
        .set    PORTS, 0xc000           # of the first disk
        .set    PORTS_END, 0xd000       # 256 for each of 16

        # Registers of a disk.
        .set    GUEST_FEATURES, 4
        .set    QUEUE_PAGE, 8
        .set    QUEUE_SIZE, 12
        .set    QUEUE_SELECT, 14
        .set    QUEUE_NOTIFY, 16
        .set    DEVICE_STATUS, 18
        .set    ISR, 19

_start: cli
        cld
        xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movw    $STACK, %sp

        movw    $timer, 0x08 * 4
        movw    %cs, 0x08 * 4 + 2
        movw    $other, 0x0f * 4
        movw    %cs, 0x0f * 4 + 2
        movw    $int13, 0x13 * 4
        movw    %cs, 0x13 * 4 + 2
        movw    $done, 0x73 * 4
        movw    %cs, 0x73 * 4 + 2
        movw    $other, 0x77 * 4
        movw    %cs, 0x77 * 4 + 2

        movb    $0x11, %al              # both 8259: four words follow
        outb    %al, $0x20
        outb    %al, $0xa0
        movb    $0x08, %al              # vectors
        outb    %al, $0x21
        movb    $0x70, %al
        outb    %al, $0xa1
        movb    $4, %al                 # the second is at line 2 of the first
        outb    %al, $0x21
        movb    $2, %al
        outb    %al, $0xa1
        movb    $1, %al                 # 8086
        outb    %al, $0x21
        outb    %al, $0xa1
        movb    $0xfa, %al              # all masked but 0, the timer, 2
        outb    %al, $0x21
        movb    $0xf7, %al              # and 11, the disks
        outb    %al, $0xa1
        movw    $0x4d1, %dx             # 11 is triggered by its level
        movb    $0x08, %al
        outb    %al, %dx

        lgdtl   %cs:table               # the processor's own controller lies beyond real mode: fs reaches it, once loaded in protected mode
        movl    %cr0, %eax
        orb     $1, %al
        movl    %eax, %cr0
        movw    $8, %bx
        movw    %bx, %fs
        andb    $0xfe, %al
        movl    %eax, %cr0
        movl    $LINT0, %ebx
        movl    $0x700, %fs:(%ebx)      # it lets through what the 8259 says (ExtINT)

        movl    $0x80000860, %ebx       # PIIX3, 00:01.0: PIRQRC[A:D]
        movl    $0x0b0b0b0b, %ecx
        call    configure

        movl    $0x80000000, %ebx       # 00:00.0, then each device of the bus
        movw    $PORTS, %di
        xorw    %si, %si                # 2 i
scan:   movl    %ebx, %eax
        movw    $CONFIG_ADDRESS, %dx
        outl    %eax, %dx
        movw    $CONFIG_DATA, %dx
        inl     %dx, %eax
        cmpl    $VIRTIO_BLK, %eax
        jne     1f
        movb    $0x10, %bl              # base address register 0
        movzwl  %di, %ecx
        call    configure
        movb    $0x04, %bl              # command: ports, and access to memory
        movl    $0x0005, %ecx
        call    configure
        movb    $0, %bl
        call    set_up
        addw    $2, %si
        addw    $0x100, %di
        cmpw    $PORTS_END, %di
        je      2f
1:      addl    $0x800, %ebx
        cmpl    $0x80010000, %ebx
        jb      scan
2:      movw    %si, DISKS_END

        movw    %cs:PNP_AT, %bx
        pushw   %cs
        pushw   %cs:PNP_AT(%bx)
        lret

# Writes ecx to register ebx of the PCI configuration.
configure:
        movl    %ebx, %eax
        movw    $CONFIG_ADDRESS, %dx
        outl    %eax, %dx
        movl    %ecx, %eax
        movw    $CONFIG_DATA, %dx
        outl    %eax, %dx
        ret

# Sets up disk si / 2 at port di. Its queue has one request at a time, of three descriptors, which is always the first.
set_up: pushl   %ebx
        pushw   %di
        movw    %di, PORT_OF(%si)
        leaw    DEVICE_STATUS(%di), %dx
        xorb    %al, %al                # reset
        outb    %al, %dx
        movb    $3, %al                 # seen, and there is a driver
        outb    %al, %dx
        leaw    GUEST_FEATURES(%di), %dx
        xorl    %eax, %eax
        outl    %eax, %dx
        leaw    QUEUE_SELECT(%di), %dx
        outw    %ax, %dx
        leaw    QUEUE_SIZE(%di), %dx
        inw     %dx, %ax
        shlw    $4, %ax                 # behind the descriptors
        movw    %ax, AVAILABLE_OF(%si)
        movw    %ax, %bx
        shrw    $3, %bx
        leaw    6 + 4095(%bx), %bx
        addw    %ax, %bx
        andw    $0xf000, %bx            # on the next page
        movw    %bx, USED_OF(%si)

        movw    %si, %ax
        movw    $QUEUE / 2, %cx
        mulw    %cx
        addw    $QUEUES, %ax
        movw    %ax, %es
        movzbl  %ah, %ebx               # its page
        movw    %di, %bp
        xorw    %di, %di
        xorl    %eax, %eax
        movw    $QUEUE * 16 / 4, %cx
        rep stosl
        movl    $HEADER, %es:0
        movl    $16, %es:8
        movl    $0x00010001, %es:12     # descriptor 1 follows
        movl    $512, %es:16 + 8
        movb    $1, %es:2 * 16 + 8
        movl    $STATUS, %es:2 * 16
        movb    $2, %es:2 * 16 + 12     # written by the disk

        movl    %ebx, %eax
        leaw    QUEUE_PAGE(%bp), %dx
        outl    %eax, %dx
        leaw    DEVICE_STATUS(%bp), %dx
        movb    $7, %al                 # the driver is ready
        outb    %al, %dx
        popw    %di
        popl    %ebx
        ret

# INT 13h, functions 42h and 43h (Enhanced Disk Drive Specification 3.0): drive dl, the packet at ds:si with one sector. Carry: it failed.
int13:  pushal
        pushw   %es
        movw    %sp, %bp
        movzbw  %dl, %bx
        subw    $0x80, %bx
        jb      bad
        shlw    $1, %bx
        cmpw    DISKS_END, %bx
        jae     bad
        subb    $0x42, %ah              # 0: read, 1: write
        cmpb    $1, %ah
        ja      bad

        movzbl  %ah, %ecx
        movl    %ecx, HEADER
        movl    8(%si), %eax
        movl    %eax, HEADER + 8
        movl    12(%si), %eax
        movl    %eax, HEADER + 12
        movb    $0xff, STATUS

        movw    %bx, %ax
        movw    $QUEUE / 2, %dx
        mulw    %dx
        addw    $QUEUES, %ax
        movw    %ax, %es
        movzwl  6(%si), %eax
        shll    $4, %eax
        movzwl  4(%si), %edx
        addl    %edx, %eax
        movl    %eax, %es:16
        shlb    $1, %cl
        movl    $0x00020003, %eax       # descriptor 2 follows; written by the disk
        subb    %cl, %al                # or not
        movl    %eax, %es:16 + 12

        movw    AVAILABLE_OF(%bx), %di
        incw    %es:2(%di)
        movw    %es:2(%di), %cx
        movw    PORT_OF(%bx), %dx
        addw    $QUEUE_NOTIFY, %dx
        xorw    %ax, %ax
        outw    %ax, %dx
        movw    USED_OF(%bx), %di
3:      cli
        cmpw    %cx, %es:2(%di)
        je      4f
        sti
        hlt
        jmp     3b

4:      cmpb    $0, STATUS
        jne     bad
        andb    $0xfe, 34 + 4(%bp)      # the caller's flags, above es, eight registers, ip and cs
        jmp     5f
bad:    orb     $0x01, 34 + 4(%bp)
5:      popw    %es
        popal
        iret

timer:  pushw   %ax
        pushw   %ds
        xorw    %ax, %ax
        movw    %ax, %ds
        incl    TICKS
        movb    $0x20, %al              # end of interrupt
        outb    %al, $0x20
        popw    %ds
        popw    %ax
        iret

# A disk has done something, or several have: reading its ISR ends its interrupt.
done:   pushw   %ax
        pushw   %bx
        pushw   %dx
        pushw   %ds
        xorw    %bx, %bx
        movw    %bx, %ds
6:      cmpw    DISKS_END, %bx
        jae     7f
        movw    PORT_OF(%bx), %dx
        addw    $ISR, %dx
        inb     %dx, %al
        addw    $2, %bx
        jmp     6b
7:      movb    $0x20, %al
        outb    %al, $0xa0
        outb    %al, $0x20
        popw    %ds
        popw    %dx
        popw    %bx
        popw    %ax
        iret

# An interrupt that has gone again.
other:  pushw   %ax
        movb    $0x20, %al
        outb    %al, $0x20
        popw    %ax
        iret

        .balign 8
flat:   .quad   0, 0x00cf92000000ffff   # data, from 0 to 4 GiB
table:  .word   15
        .long   0xf0000 + flat

        .org    1008                    # here the processor starts
        ljmp    $0xf000, $_start
        .org    1024
