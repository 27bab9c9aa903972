# systemd-boot: the mark runs after the installer has written its entries and its configuration.
{ config, lib, options, pkgs, ... }:

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
  imports = [ ../mark-hook.nix ];

  config = lib.mkIf (cfg.enable && loader.enable) (lib.mkMerge [
    {
      services.golden-generation.backends = [ "systemd-boot" ];

      # The mark comes after everything that an owner runs there, however that ends. A failure of the installer stays one.
      boot.loader.systemd-boot.extraInstallCommands = lib.mkOrder 0 ''
        golden_builder=$? golden_toplevel=$1
        golden_mark() {
          golden_status=$?
          if [ "$golden_builder" -ne 0 ]; then golden_status=$golden_builder; fi
          ${cfg.package}/bin/golden-mark-pending "$golden_toplevel" || golden_status=$?
          exit "$golden_status"
        }
        trap golden_mark EXIT
      '';

      warnings = lib.optional (!(lib.hasInfix "golden-mark-pending" loader.extraInstallCommands)) ''
        services.golden-generation: boot.loader.systemd-boot.extraInstallCommands is overridden (lib.mkForce?) and marks nothing: a
        new generation that panics before userspace is not covered. Add to it without lib.mkForce.
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
    }
    # Some firmware has a shell, which is where systemd-boot ends that finds no initrd. It starts this, after a countdown.
    (lib.optionalAttrs (options.boot.loader.systemd-boot ? extraFiles) {
      boot.loader.systemd-boot.extraFiles."startup.nsh" = lib.mkDefault (pkgs.writeText "startup.nsh" "reset\r\n");
    })
  ]);
}
