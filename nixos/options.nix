# What an owner can say. Each option is obeyed by the programs, through /etc/golden-generation/config.toml.
{ lib, pkgs, ... }:

let
  inherit (lib) literalExpression mkEnableOption mkOption types;
in
{
  options.services.golden-generation = {
    enable = mkEnableOption ("boot safety: a new generation is booted as a trial, and after `maxFailures` failed boots"
      + " the machine comes back by itself on the generation that was pinned with `pin-golden`");

    package = mkOption {
      type = types.package;
      default = pkgs.callPackage ./package.nix { };
      defaultText = literalExpression "pkgs.golden-generation";
      example = literalExpression "inputs.golden-generation.packages.x86_64-linux.default";
      description = "The programs and units.";
    };

    maxFailures = mkOption {
      type = types.ints.between 1 1000;
      default = 2;
      example = 3;
      description = ''
        Failed boots of one new generation after which the machine rolls back. A reboot or a shutdown that somebody asked
        for is not a failed boot.
      '';
    };

    maxInterruptions = mkOption {
      type = types.ints.between 1 1000;
      default = 5;
      example = 10;
      description = ''
        Orderly reboots in a row, of a generation that is not confirmed yet, that count as one failed boot: a broken
        generation can reboot itself in an orderly way.
      '';
    };

    maxAutomaticReboots = mkOption {
      type = types.ints.between 0 1000;
      default = 6;
      example = 3;
      description = ''
        Reboots that the suite itself may cause, over all reasons, until a boot is confirmed. With 0 it never reboots the
        machine: a rollback then waits for the next reboot that somebody else causes.
      '';
    };

    rollbackTarget = mkOption {
      type = types.enum [ "golden" "last-confirmed" ];
      default = "golden";
      example = "last-confirmed";
      description = ''
        Where a rollback lands: on the generation that was pinned with `pin-golden`, or on the one that was confirmed last.
        If that one cannot be booted, it is the other one.
      '';
    };

    bootDeadlineSecs = mkOption {
      type = types.ints.between 1 86400;
      default = 600;
      example = 1800;
      description = ''
        Time in seconds, from the start of userspace, until a new generation must be confirmed: `multi-user.target`, the checks
        with their retries and the settle time have to fit into it. One that is not has failed, and the machine reboots. Sleep and
        a passphrase prompt in the initrd do not count.
      '';
    };

    rebootHoldSecs = mkOption {
      type = types.ints.between 0 86400;
      default = 1800;
      example = 0;
      description = ''
        Time in seconds that a reboot after a late failure (`lateFailure`) waits while somebody is logged in or a program holds a
        lock against a shutdown (`systemd-inhibit`). With 0 it does not wait. A boot that was never confirmed is left at once,
        also while somebody is logged in.
      '';
    };

    live = {
      enable = mkOption {
        type = types.bool;
        default = true;
        example = false;
        description = ''
          Watch a `nixos-rebuild switch` too: if its activation fails, a required check fails or `proof` does not come within
          `windowSecs`, what ran before is activated again, without a reboot. Without this, what was switched to stays what runs,
          and the next boot tries it.
        '';
      };

      activationSecs = mkOption {
        type = types.ints.between 1 86400;
        default = 900;
        example = 3600;
        description = "Time in seconds that the activation of a new system may take.";
      };

      windowSecs = mkOption {
        type = types.ints.between 1 86400;
        default = 120;
        example = 600;
        description = "Time in seconds after the activation in which everything that is required must be proved.";
      };

      proof = mkOption {
        type = types.enum [ "none" "gateway" "person" ];
        default = "none";
        example = "person";
        description = ''
          What a new system must prove besides the required checks: that the default gateway answers, or that a person can still
          log in and say `golden confirm`.
        '';
      };

      except = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [ "backup.service" ];
        description = ''
          Units that may fail in the activation, by their whole names. The services that wait for the network to be online always
          may.
        '';
      };
    };

    unattended = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = ''
        Reboot where a person would be waited for: after a kernel panic (`panic=10`), a failed initrd
        (`boot.panic_on_fail`), a wedged kernel or systemd, and a shutdown that hangs (the hardware watchdog, if there is
        one). Values that you set yourself go first. `golden status` says which of them are in force.
      '';
    };

    safeModeUnits = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "tailscaled.service" "wireguard-wg0.service" ];
      description = ''
        What you need to reach the machine, besides the usual network and sshd, when nothing works any more: started in
        `golden-safe-mode.target`.
      '';
    };

    stateDir = mkOption {
      type = types.str;
      default = "/var/lib/golden-generation";
      example = "/persist/golden-generation";
      description = ''
        Where the suite remembers what it counted. It must survive a reboot. On a machine whose root is a tmpfs, name a
        directory that is kept (`/persist/…`, `/nix/persist/…`).

        When it changes, what was counted begins anew in the new place: the first generation with the new directory is
        booted without a trial. Golden stays golden.
      '';
    };

    loaderCommand = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = literalExpression "./loader";
      description = ''
        A command that knows the boot loader, where golden-generation does not. `docs/external-loader.md` says what it is asked.
      '';
    };

    mirroredBootPartitions = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "/boot2" ];
      description = ''
        Where other boot partitions are mounted from which the firmware may start the loader: copies of the ESP on other disks,
        which `extraInstallCommands` or `boot.loader.grub.mirroredBoots` make. The loader's default, and the entries and boot files of
        the systems that boot next, are kept alike on all of them. The paths of `boot.loader.grub.mirroredBoots` are added by themselves.
      '';
    };

    loaderSettings = mkOption {
      type = types.attrsOf types.str;
      default = { };
      internal = true;
      description = "What the programs are told of the boot loader.";
    };

    backends = mkOption {
      type = types.listOf types.str;
      default = [ ];
      internal = true;
      description = "The enabled boot loaders that there is a back end for. Each file in `nixos/loaders` adds its own.";
    };
  };
}
