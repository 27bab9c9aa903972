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
  kernel = build "kernel" { } "cp /boot/vmlinuz-* $out/bzImage";
  initrd = build "initrd" { init = ./initrd-init; } ''
    cd "$(mktemp -d)"; mkdir -p bin lib proc sys dev root; cp /bin/busybox bin/; install -m 755 $init init
    release=$(basename /lib/modules/*)
    for module in virtio_pci virtio_blk ext4; do /sbin/modprobe -S "$release" --show-depends $module; done |
      while read -r insmod file options; do
        [ "$insmod" = insmod ] || continue
        grep -qxF "$(basename "''${file%.xz}")" modules 2>/dev/null && continue
        case $file in *.xz) xz -dc "$file" > "lib/$(basename "''${file%.xz}")" ;; *) cp "$file" lib/ ;; esac
        basename "''${file%.xz}" >> modules
      done
    find . | cpio -o -H newc --quiet | gzip -1 > $out/initrd
  '';
  base = "console=ttyS0 8250.nr_uarts=2 mitigations=off audit=0 apparmor=0 loglevel=4 panic=1 systemd.show_status=0 systemd.log_target=journal";
  system = name: { params ? "", units ? { } }: build "nixos-system-${name}"
    {
      inherit kernel initrd;
      init = ./init;
      switch = ./switch-to-configuration;
      install = ./install-loader;
      agent = ./agent;
      units = builtins.toJSON units;
      unitFiles = map (unit: builtins.toFile unit units.${unit}) (builtins.attrNames units);
      unitNames = builtins.attrNames units;
      common = ./units;
    } ''
    mkdir -p $out/bin $out/etc/systemd/system
    for part in init; do sed "s|@out@|$out|g; s|@name@|${name}|g" ''${!part} > $out/$part; done
    sed "s|@out@|$out|g" $switch > $out/bin/switch-to-configuration
    sed "s|@out@|$out|g" $install > $out/bin/install-loader
    cp $agent $out/bin/agent
    chmod +x $out/init $out/bin/*
    cp -r $common/. $out/etc/systemd/system/; chmod -R u+w $out/etc
    files=($unitFiles); names=($unitNames); wants=$out/etc/systemd/system/multi-user.target.wants
    for i in "''${!files[@]}"; do
      cp "''${files[$i]}" "$out/etc/systemd/system/''${names[$i]}"; ln -s "../''${names[$i]}" $wants/
    done
    sed -i "s|@out@|$out|g; s|@name@|${name}|g" $out/etc/systemd/system/*.service
    ln -s $kernel/bzImage $out/kernel; ln -s $initrd/initrd $out/initrd
    echo -n "${base} ${params}" > $out/kernel-params
    echo -n "25.11-test" > $out/nixos-version
    echo "{\"org.nixos.bootspec.v1\":{\"init\":\"$out/init\",\"kernel\":\"$out/kernel\",\"initrd\":\"$out/initrd\",\"label\":\"NixOS ${name}\",\"system\":\"x86_64-linux\",\"toplevel\":\"$out\"}}" > $out/boot.json
  '';
in
{
  good-a = system "good-a" { };
  good-b = system "good-b" { };
  panic = system "panic" { params = "golden.vm-panic"; };
  broken-unit = system "broken-unit" {
    units."required.service" = ''
      [Unit]
      Description=What this system is for, and it does not work
      FailureAction=reboot
      Before=multi-user.target
      [Service]
      Type=oneshot
      ExecStart=/bin/false
    '';
  };
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
  disabled = system "disabled" { params = "golden.disable=1"; };
}
