# Who is told what happened. Each target is a table of /etc/golden-generation/notify.toml.
{ config, lib, options, ... }:

let
  inherit (lib) literalExpression mkOption types;
  cfg = config.services.golden-generation;
  targets = cfg.notify;

  # As the option says it, and as the file does.
  plain = {
    kind = "kind";
    url = "url";
    to = "to";
    from = "from";
    sendmail = "sendmail";
    forge = "forge";
    repository = "repository";
    command = "command";
    events = "events";
    title = "title";
    text = "text";
    timeoutSecs = "timeout_secs";
  };
  # A file with a secret becomes a credential of the unit, which is called after its target.
  secret = { tokenFile = "token"; urlFile = "url"; hmacFile = "hmac"; };

  given = names: target: lib.filter (name: target.${name} or null != null) (lib.attrNames names);
  credential = name: key: "${name}-${secret.${key}}";
  toml = value: builtins.toJSON value;
  table = name: target: ''
    [target.${name}]
    ${lib.concatStrings (map (key: "${plain.${key}} = ${toml target.${key}}\n") (given plain target))}${
      lib.concatStrings (map (key: "${secret.${key}}_credential = \"${credential name key}\"\n") (given secret target))}
  '';
  credentials = value: lib.concatLists (lib.mapAttrsToList
    (name: target: map (key: "${credential name key}:${value target.${key}}") (given secret target))
    targets);

  each = f: lib.concatLists (lib.mapAttrsToList f targets);
  unknown = each (name: target: map (key: "${name}.${key}")
    (lib.filter (key: !(plain ? ${key}) && !(secret ? ${key})) (lib.attrNames target)));
  misnamed = lib.filter (name: builtins.match "[A-Za-z0-9_-]{1,32}" name == null) (lib.attrNames targets);
  # Everybody on the machine reads the store.
  inStore = file: builtins.isPath file || lib.hasPrefix "/nix/store/" (toString file);
  exposed = each (name: target: map (key: "${name}.${key}") (lib.filter (key: inStore target.${key}) (given secret target)));
  runsPrograms = lib.any (target: lib.elem (target.kind or "") [ "mail" "command" ]) (lib.attrValues targets);

  isDefaultDir = cfg.stateDir == options.services.golden-generation.stateDir.default;
in
{
  options.services.golden-generation.notify = mkOption {
    type = types.attrsOf (types.attrsOf types.anything);
    default = { };
    example = literalExpression ''
      {
        phone = { kind = "ntfy"; url = "https://ntfy.sh/my-hosts"; tokenFile = "/run/secrets/ntfy"; };
        mail = { kind = "mail"; to = [ "root@example.org" ]; events = [ "safe-mode" ]; };
        issues = {
          kind = "issue"; forge = "forgejo"; url = "https://codeberg.org"; repository = "me/hosts";
          tokenFile = "/run/secrets/codeberg";
        };
      }
    '';
    description = ''
      Who is told when the machine rolled back, is in safe mode, or has failing checks: by name, a `kind` (`ntfy`, `webhook`,
      `mail`, `issue`, `command`) and what that needs. `docs/notifications.md` has all of them. `tokenFile`, `urlFile` and
      `hmacFile` name files with a secret, outside of the Nix store; systemd hands them to the program. `golden-notify --test`
      sends a message to each.
    '';
  };

  config = lib.mkIf (cfg.enable && targets != { }) (lib.mkMerge [
    {
      environment.etc."golden-generation/notify.toml".text = lib.concatStrings (lib.mapAttrsToList table targets);

      systemd.services.golden-notify = {
        restartIfChanged = false;
        serviceConfig.LoadCredential = credentials (file: file);
        # Empty, where the file is missing: else one file would keep all targets from their messages.
        serviceConfig.SetCredential = credentials (_: "\\x20");
      };
      # `[Install]` of packaged units is not honoured.
      systemd.paths.golden-notify.wantedBy = [ "paths.target" ];
      systemd.timers.golden-notify.wantedBy = [ "timers.target" ];

      assertions = [
        {
          assertion = unknown == [ ];
          message = ''
            services.golden-generation.notify: there is no setting ${toString unknown}. There are ${toString (lib.attrNames plain)}
            ${toString (lib.attrNames secret)}.
          '';
        }
        {
          assertion = misnamed == [ ];
          message = ''
            services.golden-generation.notify: ${toString misnamed} is no name of a target: 1 to 32 letters, digits, - and _.
          '';
        }
        {
          assertion = exposed == [ ];
          message = ''
            services.golden-generation.notify: ${toString exposed} would be in the Nix store, which everybody on the machine can
            read. Name a file elsewhere as a string, such as "/run/secrets/ntfy".
          '';
        }
      ];
    }

    # A mailer needs the rights of its own user, and a program of the owner may do whatever it does.
    (lib.mkIf runsPrograms {
      systemd.services.golden-notify.serviceConfig = {
        CapabilityBoundingSet = [ "CAP_DAC_OVERRIDE CAP_CHOWN CAP_FOWNER CAP_SETGID CAP_SETUID" ];
        NoNewPrivileges = false;
        ReadWritePaths = [ "-/var/spool" "-/var/lib" ];
        SystemCallFilter = [ "" "@system-service" ];
        MemoryDenyWriteExecute = false;
      };
    })

    # The packaged units name the default directory.
    (lib.mkIf (!isDefaultDir) {
      systemd.services.golden-notify = {
        unitConfig.RequiresMountsFor = [ cfg.stateDir ];
        serviceConfig.ReadWritePaths = [ "-${cfg.stateDir}" ];
      };
      systemd.paths.golden-notify = {
        unitConfig.RequiresMountsFor = [ cfg.stateDir ];
        pathConfig.PathChanged = [ "" "${cfg.stateDir}/history.jsonl" ];
      };
    })
  ]);
}
