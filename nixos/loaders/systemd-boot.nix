# systemd-boot: the mark runs after the installer has written its entries and its configuration.
{ config, lib, ... }:

let
  cfg = config.services.golden-generation;
  loader = config.boot.loader.systemd-boot;
  counting = loader.bootCounting.enable or false;
  # Where the programs look for boot partitions.
  places = [ "/boot" "/efi" "/boot/efi" ];
  partitions = [ config.boot.loader.efi.efiSysMountPoint ]
    ++ lib.optional (loader.xbootldrMountPoint or null != null) loader.xbootldrMountPoint;
  elsewhere = lib.filter (partition: !(lib.elem partition places)) partitions;
in
{
  config = lib.mkIf (cfg.enable && loader.enable) {
    services.golden-generation.backends = [ "systemd-boot" ];

    # After everything else that an owner runs there. The installer's own failure stays a failure.
    boot.loader.systemd-boot.extraInstallCommands = lib.mkOrder 2000 ''
      golden_status=$?
      ${cfg.package}/bin/golden-mark-pending "$1" || golden_status=$?
      if [ "$golden_status" -ne 0 ]; then exit "$golden_status"; fi
    '';

    assertions = [
      {
        assertion = elsewhere == [ ];
        message = ''
          services.golden-generation: the boot partition is mounted at ${toString elsewhere}, where the programs do not look
          for it. Mount it at /boot, /efi or /boot/efi (boot.loader.efi.efiSysMountPoint).
        '';
      }
      {
        # Older ones boot `default` of loader.conf although it has no tries left.
        assertion = counting -> lib.versionAtLeast config.systemd.package.version "260";
        message = ''
          services.golden-generation: boot counting (boot.loader.systemd-boot.bootCounting.enable) needs systemd-boot 260 or
          newer, and this is ${config.systemd.package.version}. Set boot.loader.systemd-boot.bootCounting.enable = false;
          golden-generation counts boots without it.
        '';
      }
    ];
  };
}
