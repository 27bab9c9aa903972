# A case as text: what NixOS would make of the configuration, as far as our module has a hand in it.
{ lib ? import ./lib.nix, case }:

let
  package = {
    type = "derivation";
    name = "golden-generation";
    outPath = "/nix/store/eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee-golden-generation";
    __toString = package: package.outPath;
  };
  tool = name: "/nix/store/eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee-${name}";
  pkgs = {
    callPackage = _: _: package;
    writeText = _: text: text;
    writeShellScript = name: text: { outPath = tool name; inherit text; };
  } // lib.genAttrs [ "coreutils" "gnused" "grub2" ] tool;

  inherit (lib.evalModules {
    modules = [ ../module.nix ./stubs.nix case ];
    specialArgs = { inherit pkgs; utils = import ./utils.nix; };
  }) config;

  section = title: text: lib.optional (text != "") "== ${title}\n${text}";
  lines = map (line: "${line}\n");
  value = value:
    if builtins.isBool value then (if value then "true" else "false")
    else toString value;
  assignments = lib.mapAttrsToList (key: values:
    lib.concatStrings (map (one: "${key}=${value one}\n") (if builtins.isList values then values else [ values ])));
  part = name: attrs: lib.optionalString (attrs != { }) "[${name}]\n${lib.concatStrings (assignments attrs)}";

  # As NixOS's systemd-lib writes what is defined beside a packaged unit.
  service = name: service: section "etc/systemd/system/${name}.service.d/overrides.conf" (
    part "Unit"
      (lib.optionalAttrs (service ? wants) { Wants = service.wants; }
      // lib.optionalAttrs (service ? after) { After = service.after; } // service.unitConfig or { })
    + part "Service" (
      lib.optionalAttrs (!(service.restartIfChanged or true)) { X-RestartIfChanged = false; }
      // service.serviceConfig or { }
    )
    + lib.concatStrings (map (target: "# wanted by ${target}\n") (service.wantedBy or [ ]))
    + lib.concatStrings (map (target: "# required by ${target}\n") (service.requiredBy or [ ]))
  );
  other = kind: part': settings: name: unit: section "etc/systemd/system/${name}.${kind}.d/overrides.conf" (
    part "Unit" (unit.unitConfig or { })
    + part part' (unit.${settings} or { })
    + lib.concatStrings (map (target: "# wanted by ${target}\n") (unit.wantedBy or [ ]))
  );
  target = name: target: section "etc/systemd/system/${name}.target.d/overrides.conf"
    (part "Unit" { Wants = target.wants; });
  failed = lib.filter (assertion: !assertion.assertion) config.assertions;
  oneLine = text: lib.concatStringsSep " " (lib.filter (word: builtins.isString word && word != "") (builtins.split "[ \n]+" text));
in
# NixOS builds nothing while an assertion fails.
lib.concatStringsSep "\n" (if failed != [ ] then section "refused" (lib.concatStrings (lines (map (assertion: oneLine assertion.message) failed))) else
lib.concatLists (
  lib.mapAttrsToList
    (name: file: section "etc/${name}" (file.text or "-> ${file.source}\n${file.source.text or ""}"))
    config.environment.etc
  ++ lib.mapAttrsToList service config.systemd.services
  ++ lib.mapAttrsToList (other "timer" "Timer" "timerConfig") config.systemd.timers
  ++ lib.mapAttrsToList (other "path" "Path" "pathConfig") config.systemd.paths
  ++ lib.mapAttrsToList (other "socket" "Socket" "socketConfig") config.systemd.sockets
  ++ lib.mapAttrsToList target config.systemd.targets
  ++ [
    (section "warnings" (lib.concatStrings (lines (map oneLine config.warnings))))
    (section "packages" (lib.concatStrings (lines (map toString config.environment.systemPackages))))
    (section "unit packages" (lib.concatStrings (lines (map toString config.systemd.packages))))
    (section "etc/systemd/system.conf" (part "Manager" config.systemd.settings.Manager))
    (section "kernel parameters" (lib.concatStrings (lines config.boot.kernelParams)))
    (section "login shells" config.environment.loginShellInit)
    (section "groups" (lib.concatStrings (lines (lib.attrNames config.users.groups))))
    (section "tmpfiles" (lib.concatStrings (lines config.systemd.tmpfiles.rules)))
    (section "system.build.installBootLoader" (config.system.build.installBootLoader.text or ""))
    (section "boot.loader.systemd-boot.extraInstallCommands" config.boot.loader.systemd-boot.extraInstallCommands)
  ]
  ++ lib.mapAttrsToList
    (name: text: section "boot.loader.systemd-boot.extraFiles.${name}" "${builtins.toJSON text}\n")
    config.boot.loader.systemd-boot.extraFiles
  ++ lib.mapAttrsToList (name: section "system.preSwitchChecks.${name}") (config.system.preSwitchChecks or { })
))
