# services.golden-generation.enable = true; is enough.
{ config, lib, options, utils, ... }:

let
  cfg = config.services.golden-generation;

  # A key for every option that the programs obey.
  settings = {
    state_dir = cfg.stateDir;
    max_failures = cfg.maxFailures;
    max_interruptions = cfg.maxInterruptions;
    max_automatic_reboots = cfg.maxAutomaticReboots;
    rollback_target = cfg.rollbackTarget;
    boot_deadline_secs = cfg.bootDeadlineSecs;
  }
  # An older program does not know the key.
  // lib.optionalAttrs (cfg.rebootHoldSecs != 1800) { reboot_hold_secs = cfg.rebootHoldSecs; }
  // lib.optionalAttrs (mirrors != [ ]) { mirrored_boot_partitions = mirrors; }
  // cfg.loaderSettings;
  mirrors = cfg.mirroredBootPartitions;
  live = {
    enable = cfg.live.enable;
    activation_secs = cfg.live.activationSecs;
    window_secs = cfg.live.windowSecs;
    proof = cfg.live.proof;
  }
  # An older program does not know the key.
  // lib.optionalAttrs (cfg.live.except != [ ]) { inherit (cfg.live) except; };
  # A number, a string or a list of them is written in JSON as it is in TOML.
  toToml = settings: lib.concatStrings (lib.mapAttrsToList (key: value: "${key} = ${builtins.toJSON value}\n") settings);

  # The file system that holds the state directory, as far as it is known here: the longest mount point above it.
  isAbove = mountPoint: mountPoint == "/" || cfg.stateDir == mountPoint || lib.hasPrefix "${mountPoint}/" cfg.stateDir;
  above = lib.filter (fileSystem: isAbove fileSystem.mountPoint) (lib.attrValues config.fileSystems);
  longer = best: other:
    if best == null || lib.stringLength other.mountPoint > lib.stringLength best.mountPoint then other else best;
  holder = lib.foldl' longer null above;
  # Some (preservation) mount what is kept by units of their own.
  isKept = lib.any (mount: isAbove mount.where && mount.where != "/") config.systemd.mounts;
  isVolatile = holder != null && lib.elem holder.fsType [ "tmpfs" "ramfs" ] && !isKept;

  # Emptied at every boot, or out of sight of the units.
  unfit = lib.filter (place: lib.hasPrefix "${place}/" "${cfg.stateDir}/")
    [ "/run" "/var/run" "/tmp" "/var/tmp" "/dev" "/proc" "/sys" "/home" "/root" "/nix/store" ];

  # As units/golden-generation-system.conf has them for other distributions.
  watchdog = { runtime = "30s"; reboot = "10min"; };

  isDefaultDir = cfg.stateDir == options.services.golden-generation.stateDir.default;
  supported = map (lib.removeSuffix ".nix") (lib.attrNames (builtins.readDir ./loaders));

  # A switch must neither confirm what it has not booted nor count a boot that did not happen.
  unit = wantedBy: lib.mkMerge [
    {
      inherit wantedBy;
      restartIfChanged = false;
    }
    # The packaged units name the default directory.
    (lib.mkIf (!isDefaultDir) { unitConfig.RequiresMountsFor = [ cfg.stateDir ]; })
  ];
  # With `ProtectSystem=`. Elsewhere the path alone would make a mount namespace, and what is activated in one mounts for nobody
  # else.
  sandboxed = wantedBy: lib.mkMerge [
    (unit wantedBy)
    (lib.mkIf (!isDefaultDir) { serviceConfig.ReadWritePaths = [ "-${cfg.stateDir}" ]; })
    # The packaged units name the usual boot partitions.
    (lib.mkIf (mirrors != [ ]) {
      # Only an order: a mirror on a disk that is gone must not keep the boot from being counted.
      after = map (place: "${utils.escapeSystemdPath place}.mount") mirrors;
      serviceConfig.ReadWritePaths = map (place: "-${place}") mirrors;
    })
  ];
in
{
  imports = [ ./options.nix ./checks.nix ./notify.nix ./quarantine.nix ./serve.nix ]
    ++ map (name: ./loaders + "/${name}") (lib.attrNames (builtins.readDir ./loaders));

  config = lib.mkIf cfg.enable (lib.mkMerge [
    {
      environment.systemPackages = [ cfg.package ];
      environment.etc."golden-generation/config.toml".text = toToml settings + "\n[live]\n" + toToml live
        + lib.optionalString (cfg.quarantine.secondChanceAfterSecs != 0)
        "[quarantine]\nsecond_chance_after_secs = ${toString cfg.quarantine.secondChanceAfterSecs}\n";
      environment.etc."systemd/catalog/golden-generation.catalog".source =
        "${cfg.package}/lib/systemd/catalog/golden-generation.catalog";

      systemd.packages = [ cfg.package ];
      systemd.tmpfiles.rules = [ "d ${cfg.stateDir} 0700 root root -" ];
      # `[Install]` of packaged units is not honoured.
      systemd.services.golden-boot-check = sandboxed [ "sysinit.target" ];
      systemd.services.golden-shutdown = sandboxed [ "sysinit.target" ];
      systemd.services.golden-rollback = unit [ "multi-user.target" ];
      systemd.services.golden-confirm = sandboxed [ "multi-user.target" ];
      systemd.services.golden-assess = lib.mkMerge [ (unit [ ]) { requiredBy = [ "boot-complete.target" ]; } ];
      # The mark starts them. Checks run in both, as in golden-assess and golden-probation: with the same environment.
      systemd.services.golden-baseline = unit [ ];
      systemd.services.golden-live = unit [ ];
      systemd.services.golden-probation = unit [ "multi-user.target" ];
      systemd.services.golden-deadline = sandboxed [ "sysinit.target" ];
      systemd.services.golden-emergency = sandboxed [ "emergency.target" "rescue.target" ];
      systemd.services.golden-hibernate =
        sandboxed [ "hibernate.target" "hybrid-sleep.target" "suspend-then-hibernate.target" ];
      # Nothing but a rehearsal starts them.
      systemd.services.golden-drill = unit [ "multi-user.target" ];
      systemd.services.golden-drill-unit = unit [ "multi-user.target" ];
      systemd.services.golden-drill-check = { requiredBy = [ "boot-complete.target" ]; restartIfChanged = false; };
      systemd.timers.golden-verify.wantedBy = [ "timers.target" ];
      systemd.paths.golden-profile.wantedBy = [ "paths.target" ];
      systemd.services.golden-profile = unit [ ];
      # Whoever logs in reads that this is safe mode, and what to do. Programs that start a login shell read its output.
      environment.loginShellInit = ''
        if [ -t 1 ] && [ -r /run/motd.d/golden-generation ]; then cat /run/motd.d/golden-generation; fi
      '';

      assertions = [
        {
          assertion = cfg.backends != [ ];
          message = ''
            services.golden-generation: there is no back end for the enabled boot loader. Supported:
            ${lib.concatStringsSep ", " supported}. Enable it (boot.loader.systemd-boot.enable = true) or disable
            services.golden-generation.
          '';
        }
        {
          # It is written into units, tmpfiles and TOML: nothing that any of them would take apart.
          assertion = builtins.match "/[A-Za-z0-9._+/-]+" cfg.stateDir != null;
          message = ''
            services.golden-generation.stateDir: "${cfg.stateDir}" is not an absolute path of letters, digits and . _ + - /.
            Name another directory, such as /var/lib/golden-generation.
          '';
        }
        {
          assertion = unfit == [ ];
          message = ''
            services.golden-generation.stateDir: what is below ${toString unfit} is not kept, or is hidden from the units. Name
            another directory, such as /var/lib/golden-generation.
          '';
        }
        {
          assertion = !isVolatile;
          message = ''
            services.golden-generation: ${cfg.stateDir} is on a ${toString (holder.fsType or "")}
            (${toString (holder.mountPoint or "")}) and is lost at every boot: no failed boot would ever be counted. Set
            services.golden-generation.stateDir to a directory that is kept, such as /persist/golden-generation.
          '';
        }
      ];
    }

    (lib.mkIf (!isDefaultDir) {
      # tmpfiles makes the other one.
      systemd.services.golden-confirm.serviceConfig.StateDirectory = [ "" ];
      # The timer starts it.
      systemd.services.golden-verify = {
        unitConfig.RequiresMountsFor = [ cfg.stateDir ];
        serviceConfig.ReadWritePaths = [ "-${cfg.stateDir}" ];
      };
      systemd.services.golden-hibernate.unitConfig.ConditionPathExists = [ "" "${cfg.stateDir}/ledger.json" ];
      # The boot check is told where the state is, so that it need not read the settings.
      systemd.services.golden-boot-check.serviceConfig.ExecStart = [
        ""
        "${cfg.package}/bin/golden-boot-check --state-dir ${cfg.stateDir}"
      ];
    })

    (lib.mkIf (mirrors != [ ]) {
      systemd.services.golden-verify.serviceConfig.ReadWritePaths = map (place: "-${place}") mirrors;
    })

    (lib.mkIf (cfg.safeModeUnits != [ ]) {
      systemd.targets.golden-safe-mode.wants = cfg.safeModeUnits;
    })

    (lib.mkIf cfg.unattended {
      # Before the owner's: the last one counts. With the second one a failed initrd panics instead of waiting for a person.
      boot.kernelParams = lib.mkBefore [ "panic=10" "boot.panic_on_fail" ];
    })

    # The hardware watchdog, by its name in this nixpkgs.
    (lib.optionalAttrs (options.systemd ? settings) {
      systemd.settings.Manager = lib.mkIf cfg.unattended {
        RuntimeWatchdogSec = lib.mkDefault watchdog.runtime;
        RebootWatchdogSec = lib.mkDefault watchdog.reboot;
      };
    })
    (lib.optionalAttrs (!(options.systemd ? settings)) {
      systemd.watchdog = lib.mkIf cfg.unattended {
        runtimeTime = lib.mkDefault watchdog.runtime;
        rebootTime = lib.mkDefault watchdog.reboot;
      };
    })

    # Not in every nixpkgs yet. A mark that comes later refuses too.
    (lib.optionalAttrs (options.system ? preSwitchChecks) {
      system.preSwitchChecks.golden-generation = ''
        case "''${2-}" in
          # Only what is quarantined is refused here; all other trouble is the mark's to tell.
          boot|switch) ${cfg.package}/bin/golden check "$1" || [ "$?" -ne 77 ] ;;
        esac
      '';
    })
  ]);
}
