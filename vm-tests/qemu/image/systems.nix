# The systems of the tests, laid out as NixOS lays them out, built without a sandbox by the tools of the image.
let
  # Nix takes the end of a builder's output for the end of the builder and kills it: the last word is bash's, for
  # coreutils close their output before they exit.
  build = name: attributes: script:
    derivation (attributes // {
      inherit name;
      system = builtins.currentSystem;
      builder = "/bin/bash";
      args = [ "-euc" ("export PATH=/usr/bin:/bin; mkdir $out; ${script}\nexit 0") ];
    });
  kernelOf = name: build name { } "cp /boot/vmlinuz-* $out/bzImage";
  initrdOf = name: build name { init = ./initrd-init; } ''
    cd "$(mktemp -d)"; mkdir -p bin lib proc sys dev root; cp /bin/busybox bin/; install -m 755 $init init
    release=$(basename /lib/modules/*)
    # The watchdog, for until its driver is there nobody resets a machine that hangs; and where a panic is kept.
    for module in virtio_pci virtio_blk ext4 i6300esb efi_pstore; do /sbin/modprobe -S "$release" --show-depends $module; done |
      while read -r insmod file options; do
        [ "$insmod" = insmod ] || continue
        grep -qxF "$(basename "''${file%.xz}")" modules 2>/dev/null && continue
        case $file in *.xz) xz -dc "$file" > "lib/$(basename "''${file%.xz}")" ;; *) cp "$file" lib/ ;; esac
        basename "''${file%.xz}" >> modules
      done
    find . | cpio -o -H newc --quiet | gzip -1 > $out/initrd
  '';
  # NixOS gives every system this script, and the script of one without secrets ends before it does anything.
  secretsOf = secrets: build "append-initrd-secrets"
    {
      script = builtins.toFile "append-initrd-secrets" ''
        #!/bin/bash -e
        function usage {
          echo "USAGE: $0 INITRD_FILE" >&2
          echo "Appends this configuration's secrets to INITRD_FILE" >&2
        }

        if [ $# -ne 1 ]; then
          usage
          exit 1
        fi

        if [ "$1"x = "--helpx" ]; then
          usage
          exit 0
        fi

        ${if secrets == "" then "exit 0" else ""}

        export PATH=/usr/bin:/bin

        function cleanup {
          if [ -n "$tmp" -a -d "$tmp" ]; then
            rm -fR "$tmp"
          fi
        }
        trap cleanup EXIT

        tmp=$(mktemp -d ''${TMPDIR:-/tmp}/initrd-secrets.XXXXXXXXXX)

        ${if secrets == "" then "" else ''
        mkdir -p $(dirname "$tmp/.initrd-secrets/${secrets}")
        cp -a ${secrets} "$tmp/.initrd-secrets/${secrets}"
        ''}

        (cd "$tmp" && find . -mindepth 1 | sort | cpio --quiet -o -H newc | gzip -1) >> "$1"
      '';
    } "install -D -m 755 $script $out/bin/append-initrd-secrets";
  # Not what it should be, but a file.
  noise = name: file: build name { } "head -c 200000 /dev/urandom > $out/${file}";
  # A service that does this before the boot check, which comes as early as it can, or right after it.
  does = order: script: ''
    [Unit]
    Description=What goes wrong early in userspace
    DefaultDependencies=no
    ${order}=golden-boot-check.service
    Before=sysinit.target
    [Service]
    Type=oneshot
    ExecStart=/bin/bash -c '${script}'
  '';
  panics = "echo 1 > /proc/sys/kernel/sysrq; echo c > /proc/sysrq-trigger";
  # Nobody pats the watchdog then.
  freezes = "echo 1 > /sys/fs/cgroup/init.scope/cgroup.freeze";
  base = "console=ttyS0 8250.nr_uarts=2 mitigations=off audit=0 apparmor=0 loglevel=4 panic=1 systemd.show_status=0 systemd.log_target=journal";
  # `fault` is what goes wrong in stage 2 before systemd, `half` whether its activation ends half-way; `units` are wanted by
  # multi-user.target, `early` by sysinit.target; `checks` is its checks.toml; `secrets` is the file that its initrd gets.
  system = name:
    { params ? "", units ? { }, early ? { }, fault ? "", half ? "", checks ? "", fstab ? "", kernel ? kernelOf "kernel", initrd ? initrdOf "initrd", secrets ? "" }:
    build "nixos-system-${name}"
      {
        inherit kernel initrd fault half checks fstab;
        init = ./init;
        switch = ./switch-to-configuration;
        install = ./install-loader;
        grub = ./install-grub;
        append = secretsOf secrets;
        agent = ./agent;
        unitFiles = map (unit: builtins.toFile unit (units // early).${unit}) (builtins.attrNames (units // early));
        unitNames = builtins.attrNames (units // early);
        earlyNames = builtins.attrNames early;
        common = ./units;
      } ''
      mkdir -p $out/bin $out/etc/systemd/system $out/etc/golden-generation
      [ -z "$checks" ] || echo "$checks" > $out/etc/golden-generation/checks.toml
      sed "s|@out@|$out|g; s|@name@|${name}|g; s|@fault@|$fault|g" $init > $out/init
      sed "s|@out@|$out|g; s|@half@|$half|g" $switch > $out/bin/switch-to-configuration
      sed "s|@out@|$out|g" $install > $out/bin/install-loader
      sed "s|@out@|$out|g" $grub > $out/bin/install-grub
      cp $agent $out/bin/agent
      chmod +x $out/init $out/bin/*
      echo "$fstab" > $out/etc/fstab
      cp -r $common/. $out/etc/systemd/system/; chmod -R u+w $out/etc
      files=($unitFiles); names=($unitNames)
      for i in "''${!files[@]}"; do
        wants=multi-user.target.wants
        case " $earlyNames " in *" ''${names[$i]} "*) wants=sysinit.target.wants ;; esac
        cp "''${files[$i]}" "$out/etc/systemd/system/''${names[$i]}"
        ln -s "../''${names[$i]}" "$out/etc/systemd/system/$wants/"
      done
      sed -i "s|@out@|$out|g; s|@name@|${name}|g" $out/etc/systemd/system/*.service
      ln -s $kernel/bzImage $out/kernel; ln -s $initrd/initrd $out/initrd
      ln -s $append/bin/append-initrd-secrets $out/append-initrd-secrets
      echo -n "${base} ${params}" > $out/kernel-params
      echo -n "25.11-test" > $out/nixos-version
      echo "{\"org.nixos.bootspec.v1\":{\"init\":\"$out/init\",\"kernel\":\"$out/kernel\",\"initrd\":\"$out/initrd\",\"initrdSecrets\":\"$append/bin/append-initrd-secrets\",\"label\":\"NixOS ${name}\",\"system\":\"x86_64-linux\",\"toplevel\":\"$out\"}}" > $out/boot.json
    '';
  # A network card with an address, or one that is cut off; QEMU's own gateway answers.
  network = script: {
    "net.service" = ''
      [Unit]
      Description=What brings this machine to its owner
      Before=multi-user.target
      [Service]
      Type=oneshot
      RemainAfterExit=yes
      ExecStart=/bin/bash -c '${script}'
    '';
  };
  # systemd takes one of two dollars.
  card = "card=$$(ls /sys/class/net | grep -v lo)";
  up = "modprobe virtio_net; udevadm settle; ${card}; busybox ip address add 10.0.2.15/24 dev $$card; busybox ip link set $$card up; busybox ip route add default via 10.0.2.2; true";
  cut = "${card}; busybox ip link set $$card down";
  gateway = ''
    settle_secs = 1
    [check.gateway]
    kind = "ping"
    host = "gateway"
    timeout_secs = 5
    retries = 1
    interval_secs = 1
  '';
  broken."required.service" = ''
    [Unit]
    Description=What this system is for, and it does not work
    FailureAction=reboot
    Before=multi-user.target
    [Service]
    Type=oneshot
    ExecStart=/bin/false
  '';
  check = name: required: command: ''
    settle_secs = 1
    [check.${name}]
    kind = "command"
    command = ["/bin/bash", "-c", "${command}"]
    required = ${required}
    timeout_secs = 3
    retries = 0
  '';
  systems = {
    good-a = system "good-a" { };
    good-b = system "good-b" { };
    panic = system "panic" { params = "golden.vm-panic"; };
    broken-unit = system "broken-unit" { units = broken; };
    # Reaches multi-user.target when a test says so.
    slow = system "slow" {
      units."slow.service" = ''
        [Unit]
        Description=Waits until the test is done with it
        Before=multi-user.target
        [Service]
        Type=oneshot
        ExecStart=/bin/bash -c 'echo "golden-vm: waits" > /dev/ttyS0; until [ -e /run/go-on ]; do sleep 0.1; done'
      '';
    };
    # Never reaches it.
    hangs = system "hangs" {
      units."hangs.service" = ''
        [Unit]
        Description=Waits for what never comes
        Before=multi-user.target
        [Service]
        Type=oneshot
        ExecStart=/bin/sleep infinity
      '';
    };
    # Boot files that no other system has: what happens to them happens to nobody else.
    own-files = system "own-files" { kernel = kernelOf "kernel-own"; initrd = initrdOf "initrd-own"; };
    # Its owner's key comes into its initrd when its entry is written.
    secret = system "secret" { initrd = initrdOf "initrd-secret"; secrets = "/etc/vm-secret"; };
    kernel-garbage = system "kernel-garbage" { kernel = noise "kernel-garbage" "bzImage"; };
    initrd-garbage = system "initrd-garbage" { initrd = noise "initrd-garbage" "initrd"; };
    init-crashes = system "init-crashes" { fault = "exit 1"; };
    panic-early = system "panic-early" { early."early.service" = does "Before" panics; };
    panic-later = system "panic-later" { early."early.service" = does "After" panics; };
    # Saves what memory holds and goes on: its owner has `boot.crashDump.enable`. The crash kernel starts the same system, in
    # the words that NixOS gives it.
    crash-dump = system "crash-dump" {
      params = "crashkernel=192M";
      early."crash.service" = does "After" (
        "[ ! -e /proc/vmcore ] || exit 0; "
        + "kexec -p -s @out@/kernel --initrd=@out@/initrd --command-line=\"init=@out@/init irqpoll maxcpus=1 reset_devices 1 boot.shell_on_fail ${base}\" || exit; "
        + panics
      );
      early."dump.service" = ''
        [Unit]
        Description=Saves the memory of the kernel that panicked, when a test says so
        DefaultDependencies=no
        ConditionPathExists=/proc/vmcore
        [Service]
        ExecStart=/bin/bash -c 'until systemctl -q is-active rescue.service; do sleep 0.1; done; echo "golden-vm: saves" > /dev/ttyS0; until [ -e /run/go-on ]; do sleep 0.1; done; head -c 8M /proc/vmcore > /var/dump-$$(date +%%s); sync; echo "golden-vm: saved" > /dev/ttyS0; stty -F /dev/ttyS0 cread; echo b > /proc/sysrq-trigger'
      '';
    };
    hang-early = system "hang-early" { early."early.service" = does "Before" freezes; };
    # A disk that was taken out.
    mount-never = system "mount-never" { fstab = "LABEL=gone /srv ext4 x-systemd.device-timeout=5s 0 0"; };
    disabled = system "disabled" { params = "golden.disable=1"; };
    check-fails = system "check-fails" { checks = check "web" "true" "echo it does not answer; exit 1"; };
    check-hangs = system "check-hangs" { checks = check "web" "true" "sleep 1000"; };
    wanted-fails = system "wanted-fails" { checks = check "nice-to-have" "false" "exit 1"; };
    # Fails here, and failed before.
    odd-unit = system "odd-unit" {
      units."odd.service" = ''
        [Unit]
        Description=Has failed for years
        [Service]
        Type=oneshot
        ExecStart=/bin/false
      '';
      checks = ''
        settle_secs = 1
        [check.units]
        kind = "no-failed-units"
        retries = 0
      '';
    };
    net-up = system "net-up" { units = network up; checks = gateway; };
    net-cut = system "net-cut" { units = network cut; checks = gateway; };
    # Its owner could be told from here too.
    net-broken = system "net-broken" { units = network up // broken; };
    # Works until a test says otherwise.
    fails-late = system "fails-late" { checks = "probation_secs = 600\nlate_failure = \"roll-back\"\n" + check "web" "true" "test ! -e /run/broken"; };
    half-way = system "half-way" { half = "yes"; };
  };
in
{
  inherit systems;
  names = builtins.attrNames systems;
}
